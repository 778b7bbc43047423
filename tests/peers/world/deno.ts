// Deno's documented file server, with an index.html
const root = Deno.env.get("ROOT");
Deno.serve({ port: Number(Deno.env.get("PORT")), hostname: "127.0.0.1" }, async (req) => {
  const url = new URL(req.url);
  const filepath = decodeURIComponent(url.pathname);
  let file;
  try {
    file = await Deno.open(root + (filepath === "/" ? "/index.html" : filepath), { read: true });
  } catch {
    return new Response("404 Not Found", { status: 404 });
  }
  return new Response(file.readable);
});
