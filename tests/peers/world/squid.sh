d=$(mktemp -d); chmod 777 $d
cat > $d/conf <<X
http_port 127.0.0.1:$PORT
http_access allow all
cache_mem 64 MB
cache_effective_user proxy
pid_filename $d/pid
access_log none
cache_log $d/log
cache_store_log none
coredump_dir $d
shutdown_lifetime 0 seconds
visible_hostname squid.example
dns_nameservers 127.0.0.1
pinger_enable off
X
exec squid -N -f $d/conf
