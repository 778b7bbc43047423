d=$(mktemp -d); o=$(awk '$4=="SOA"{print $1}' $ZONE)
cat > $d/nsd.conf <<X
server:
  ip-address: 127.0.0.1
  port: $PORT
  username: ""
  zonesdir: "$d"
  zonelistfile: "$d/zl"
  pidfile: "$d/pid"
  database: ""
  xfrdfile: "$d/x"
  xfrdir: "$d"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "$o"
  zonefile: "$ZONE"
X
exec nsd -d -c $d/nsd.conf
