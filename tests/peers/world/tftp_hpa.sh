# It ends with 0 whatever happens: the client is tftp and this line.
printed=$(tftp -m binary "$HOST" "$PORT" -c get "$NAME" "$FILE" 2>&1) || { echo "$printed" >&2; exit 1; }
if [ -n "$printed" ]; then echo "$printed" >&2; exit 1; fi
