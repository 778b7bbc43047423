/**
 * The part of `deno task bench` about proxies, with wrk as the load: 50 connections that stay open, and complete URLs in the
 * requests. Ours, and nginx with one worker and a cache on the disk (which is in memory, too, for the kernel keeps it there): as
 * a proxy for whatever a request names, with a connection for each, and for one server, to which its connections stay open.
 *
 * @module
 */
import { has } from "../support/program.ts";
import { need, startServer, type Tools } from "./_tools.ts";
import { load, nginxCommand } from "./_web.ts";

export async function benchProxy(tools: Tools): Promise<void> {
  await need("wrk");
  const { folder } = tools;
  const [www, ours, any, one] = ["www", "origin", "any", "one"].map((name) => `${folder}/${name}`);
  for (const path of [www, ours, any, one]) await Deno.mkdir(path ?? "", { recursive: true });
  await Deno.writeTextFile(`${www}/small.txt`, "0123456789abcde\n".repeat(256));
  // nginx serves the files, for all contenders: it costs the least beside them.
  const hasNginx = await has("sh", "-c", "command -v nginx");
  const files = ["run", "-N=127.0.0.1", `-R=${www}`, "http/file_server.ts", "--root", www ?? "", "--quiet"];
  const origin = await startServer(tools, "origin", (port) => {
    if (hasNginx) return nginxCommand(ours ?? "", www ?? "", port);
    return [Deno.execPath(), ...files, "--port", `${port}`];
  });
  const all = [
    await startServer(tools, "socketlab proxy_server", (port) => [
      ...[Deno.execPath(), "run", "-N=127.0.0.1", "http/proxy_server.ts", "--quiet", "--port", `${port}`],
    ]),
  ];
  if (hasNginx) {
    all.push(
      await startServer(tools, "nginx, one worker", (port) => nginxProxy(any ?? "", port)),
      await startServer(tools, "nginx, keep-alive", (port) => nginxProxy(one ?? "", port, origin.port)),
    );
  }
  for (const title of ["from the cache", "from the server"]) {
    const script = `${folder}/${title}.lua`;
    const url = `http://127.0.0.1:${origin.port}/small.txt`;
    const host = `["Host"] = "127.0.0.1:${origin.port}"`;
    // A Range of everything is not answered from a cache, and is no reason to send less.
    const range = title === "from the cache" ? "" : ', ["Range"] = "bytes=0-"';
    await Deno.writeTextFile(
      script,
      `request = function() return wrk.format("GET", "${url}", { ${host}${range} }) end`,
    );
    await load(tools, `Proxy, 4 KiB ${title}, 50 connections`, all, "/small.txt", script);
  }
  for (const { program } of [origin, ...all]) await program.stop();
}

/** nginx as a proxy with a cache: for whatever a request names, or for the server at `origin`. */
async function nginxProxy(folder: string, port: number, origin?: number): Promise<string[]> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${folder}/${name};`
  );
  const target = origin ? "origin" : "$http_host";
  await Deno.writeTextFile(
    `${folder}/nginx.conf`,
    `worker_processes 1; daemon off; master_process off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 8192; }
     http {
       access_log off; sendfile on; keepalive_requests 1000000000; ${temporary.join(" ")}
       proxy_cache_path ${folder}/cache keys_zone=lab:10m use_temp_path=off;
       upstream origin { server 127.0.0.1:${origin ?? 1}; keepalive 64; keepalive_requests 1000000000; }
       server {
         listen 127.0.0.1:${port} backlog=1024;
         location / {
           proxy_pass http://${target}; proxy_http_version 1.1; proxy_set_header Connection "";
           proxy_cache lab; proxy_cache_valid 200 10m; proxy_cache_bypass $http_range;
           proxy_no_cache $http_range; proxy_set_header Range $http_range; proxy_cache_key $http_host$request_uri;
         }
       }
     }`,
  );
  return ["nginx", "-c", `${folder}/nginx.conf`];
}
