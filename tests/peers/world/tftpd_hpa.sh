umask 022; chmod -R a+rwX "$(dirname "$ROOT")"
# Other servers have this name, too.
in.tftpd --version | grep -q tftp-hpa || { echo "in.tftpd is not tftpd-hpa" >&2; exit 1; }
exec in.tftpd -L -p -u root -U 022 -c -a 127.0.0.1:$PORT -s "$ROOT"
