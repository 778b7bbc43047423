printf 'From: a@example.com\nTo: %s\nDate: Sat, 21 Nov 2026 12:00:00 +0000\n\n%s\n' "$TO" "$TEXT" | msmtp --host="$HOST" --port="$PORT" --from=a@example.com --auth=off --tls=off -- "$TO"
