/**
 * Reads zones from their files, and the files that they include.
 *
 * @module
 */
import { dirname, isAbsolute, join, relative } from "node:path";
import { Failure, printable } from "../cli.ts";
import { decodeText, readText, reason } from "../tcp/_read_file.ts";
import { type Include, ZoneError } from "./_master_file.ts";
import { FormatError } from "./_name.ts";
import { parseZone, type Zone } from "./_zone.ts";

/** Reads the zones. @throws {Failure} with code 2 that names the file, the line, and what was expected. */
export async function readZones(files: readonly string[]): Promise<Map<string, Zone>> {
  const zones = new Map<string, Zone>();
  for (const file of files) {
    try {
      const zone = parseZone(await readText(file), includeBeside(file));
      if (zones.has(zone.origin)) throw new ZoneError(1, `the zone ${zone.origin} is in two of the files`);
      zones.set(zone.origin, zone);
    } catch (error) {
      if (!(error instanceof ZoneError)) throw error;
      throw new Failure(`${printable(error.file || file)}:${error.line}: ${printable(error.message)}`, 2);
    }
  }
  return zones;
}

/**
 * Reads the files that a zone includes, from its own folder and the folders in it. No other file: an error names what is
 * wrong in a line, and would show the content of a file that is no zone.
 */
function includeBeside(zoneFile: string): Include {
  const folder = dirname(zoneFile);
  return (name, from) => {
    const file = join(dirname(from || zoneFile), name);
    const outside = new FormatError(`expected a file in the folder of the zone, not ${name}`);
    if (isAbsolute(name) || !isInside(folder, file)) throw outside;
    try {
      // A symbolic link may lead elsewhere.
      if (!isInside(Deno.realPathSync(folder), Deno.realPathSync(file))) throw outside;
      return { file, text: decodeText(Deno.readFileSync(file)) };
    } catch (error) {
      if (error instanceof FormatError) throw error;
      const path = printable(file);
      if (error instanceof Deno.errors.NotCapable) {
        throw new Failure(`cannot read ${path}: no permission: add -R=${path}`, 2, `-R=${path}`);
      }
      throw new FormatError(`cannot read ${name}: ${reason(error)}`);
    }
  };
}

function isInside(folder: string, file: string): boolean {
  const path = relative(folder, file);
  return path !== "" && !isAbsolute(path) && !/^\.\.([/\\]|$)/.test(path);
}
