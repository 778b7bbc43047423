chmod -R a+rwX "$(dirname "$ROOT")"
exec atftpd --daemon --no-fork --user root --group root --logfile /dev/null --bind-address 127.0.0.1 --port $PORT "$ROOT"
