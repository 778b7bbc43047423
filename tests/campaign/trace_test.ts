/** The captures of every lesson. */
import { leavesCleanCapture } from "../support/captures.ts";
import { pairs } from "../support/tasks.ts";

for (const [name] of pairs()) {
  if (name !== "ping:system") leavesCleanCapture(name); // that one shows what the system's program prints
}
