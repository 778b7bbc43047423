/**
 * Plots as SVG. Apache ECharts draws them; it is fetched only when the bench is to draw.
 *
 * @module
 */
import { pathToFileURL } from "node:url";
import { Failure } from "../../cli.ts";
import { install, type Tools } from "./_tools.ts";

/** Lines over numbers that grow by factors: both axes are logarithmic. */
export interface Plot {
  readonly title: string;
  readonly xName: string;
  /** The factor from one number at the x axis to the next; 10 by default. */
  readonly xBase?: number;
  readonly yName: string;
  readonly lines: ReadonlyMap<string, readonly (readonly [x: number, y: number])[]>;
}

/** What is used of ECharts. */
interface Echarts {
  init(dom: null, theme: null, options: object): {
    setOption(option: object): void;
    renderToSVGString(): string;
    dispose(): void;
  };
}

/** Draws a plot to `NAME.svg` in the folder for plots, if there is one. */
export async function drawPlot(
  tools: Tools,
  name: string,
  { title, xName, xBase = 10, yName, lines }: Plot,
): Promise<void> {
  if (tools.plots === "") return;
  const { init } = await loadEcharts(tools);
  const chart = init(null, null, { renderer: "svg", ssr: true, width: 640, height: 360 });
  const axis = { type: "log", nameLocation: "middle", axisLine: { show: true } };
  const values = [...lines.values()].flat();
  const [xs, ys] = [values.map(([x]) => x), values.map(([, y]) => y)];
  chart.setOption({
    animation: false,
    backgroundColor: "#fff",
    title: { text: title, top: 6, textStyle: { fontSize: 15 } },
    legend: { top: 36, itemGap: 12 },
    grid: { left: 64, right: 24, top: 84, bottom: 48 },
    xAxis: { ...axis, name: xName, logBase: xBase, nameGap: 28, min: Math.min(...xs), max: Math.max(...xs) },
    yAxis: { ...axis, name: yName, nameGap: 44, min: floorOf(Math.min(...ys)), max: ceilingOf(Math.max(...ys)) },
    series: [...lines].map(([name, data], i) => ({
      type: "line",
      name,
      data,
      symbol: symbols[i % symbols.length], // so that the lines differ without colours, too
      symbolSize: 8,
    })),
  });
  await Deno.writeTextFile(`${tools.plots}/${name}.svg`, `${chart.renderToSVGString().trim()}\n`);
  chart.dispose();
}

const symbols = ["circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect"];

/** The next number of 1, 2 and 5 times a power of ten that is not above. */
function floorOf(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([5, 2, 1].find((each) => each * power <= value) ?? 1) * power;
}

/** The next such number that is not below. */
function ceilingOf(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((each) => each * power >= value) ?? 10) * power;
}

async function loadEcharts({ folder }: Tools): Promise<Echarts> {
  if (!await install(folder, "echarts@6")) throw new Failure("the plots need npm, which could not fetch echarts", 3);
  const url = pathToFileURL(`${folder}/node_modules/echarts/dist/echarts.esm.min.mjs`);
  const library: Echarts = await import(url.href);
  return library;
}
