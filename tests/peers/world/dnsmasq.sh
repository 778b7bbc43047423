o=$(awk '$4=="SOA"{print $1}' $ZONE); o=${o%.}
args=$(awk '$4=="A"||$4=="AAAA"{n=$1; sub(/\.$/,"",n); if (n !~ /^\*/) print "--host-record=" n "," $5}' $ZONE)
exec dnsmasq -d -C /dev/null -p $PORT --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts -u root --local=/$o/ --pid-file= $args
