exec atftp --get --remote-file "$NAME" --local-file "$FILE" "$HOST" "$PORT"
