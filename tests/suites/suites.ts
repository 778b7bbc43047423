/**
 * All suites, by their names in `deno task check`.
 *
 * @module
 */
import chat from "./chat.ts";
import chatClient from "./chat_client.ts";
import dns from "./dns.ts";
import dnsClient from "./dns_client.ts";
import game from "./game.ts";
import gameClient from "./game_client.ts";
import http from "./http.ts";
import httpClient from "./http_client.ts";
import echo from "./echo.ts";
import echoClient from "./echo_client.ts";
import pinger from "./pinger.ts";
import proxy from "./proxy.ts";
import rdtReceiver from "./rdt_receiver.ts";
import rdtSender from "./rdt_sender.ts";
import reply from "./reply.ts";
import replyClient from "./reply_client.ts";
import rest from "./rest.ts";
import rpc from "./rpc.ts";
import rpcClient from "./rpc_client.ts";
import smtp from "./smtp.ts";
import smtpClient from "./smtp_client.ts";
import type { Suite } from "./_suite.ts";
import tftp from "./tftp.ts";
import tftpClient from "./tftp_client.ts";
import threaded from "./threaded.ts";
import websocket from "./websocket.ts";
import websocketClient from "./websocket_client.ts";

export const suites: Readonly<Record<string, Suite>> = {
  "dns:server": dns,
  "dns:client": dnsClient,
  "http:server": http,
  "http:client": httpClient,
  "http:proxy": proxy,
  "http:websocket": websocket,
  "http:websocket-client": websocketClient,
  "rest:users": rest,
  "smtp:server": smtp,
  "smtp:client": smtpClient,
  "tcp:echo": echo,
  "tcp:echo-client": echoClient,
  "tcp:reply": reply,
  "tcp:reply-client": replyClient,
  "tcp:rpc": rpc,
  "tcp:rpc-client": rpcClient,
  "tcp:threaded": threaded,
  "udp:chat": chat,
  "udp:chat-client": chatClient,
  "udp:game": game,
  "udp:game-client": gameClient,
  "udp:pinger": pinger,
  "udp:rdt-receiver": rdtReceiver,
  "udp:rdt-sender": rdtSender,
  "udp:tftp": tftp,
  "udp:tftp-client": tftpClient,
};
