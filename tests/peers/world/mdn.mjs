// as MDN's "Node.js server without a framework"
import * as fs from "node:fs";
import * as http from "node:http";
import * as path from "node:path";
const PORT = process.env.PORT;
const MIME_TYPES = {
  default: "application/octet-stream",
  html: "text/html; charset=UTF-8",
  js: "text/javascript",
  css: "text/css",
  png: "image/png",
  txt: "text/plain",
};
const STATIC_PATH = process.env.ROOT;
const toBool = [() => true, () => false];
const prepareFile = async (url) => {
  const paths = [STATIC_PATH, url];
  if (url.endsWith("/")) paths.push("index.html");
  const filePath = path.join(...paths);
  const pathTraversal = !filePath.startsWith(STATIC_PATH);
  const exists = await fs.promises.access(filePath).then(...toBool);
  const found = !pathTraversal && exists;
  const streamPath = found ? filePath : `${STATIC_PATH}/404.html`;
  const ext = path.extname(streamPath).substring(1).toLowerCase();
  return { found, ext, stream: fs.createReadStream(streamPath) };
};
http.createServer(async (req, res) => {
  const file = await prepareFile(req.url);
  const statusCode = file.found ? 200 : 404;
  res.writeHead(statusCode, { "Content-Type": MIME_TYPES[file.ext] || MIME_TYPES.default });
  file.stream.on("error", () => res.end());
  file.stream.pipe(res);
}).listen(PORT);
