try {
  const response = await fetch(process.argv[2], { signal: AbortSignal.timeout(5000) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  process.stdout.write(Buffer.from(await response.arrayBuffer()));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
