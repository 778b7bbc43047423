d=$(mktemp -d); o=$(awk '$4=="SOA"{print $1}' $ZONE)
cat > $d/named.conf <<X
options { directory "$d"; listen-on port $PORT { 127.0.0.1; }; listen-on-v6 { none; }; pid-file "$d/pid"; session-keyfile "$d/k"; recursion no; allow-query { any; }; dnssec-validation no; };
controls { };
zone "$o" { type primary; file "$ZONE"; check-names ignore; };
X
exec named -g -c $d/named.conf
