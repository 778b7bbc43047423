d=$(mktemp -d); o=$(awk '$4=="SOA"{print $1}' $ZONE)
cat > $d/knot.conf <<X
server:
  rundir: "$d"
  listen: 127.0.0.1@$PORT
database:
  storage: "$d"
zone:
  - domain: $o
    file: "$ZONE"
    semantic-checks: off
    zonefile-load: whole
X
exec knotd -c $d/knot.conf
