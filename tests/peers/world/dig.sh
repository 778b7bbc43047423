# dig ends with 0 whenever there is a response: the client is dig and this line.
found=$(dig +short "@$HOST" -p "$PORT" "$NAME" A | grep -E '^[0-9.]+$') && echo "$found"
