d=$(mktemp -d)
cat > $d/conf <<X
User root
Group root
Port $PORT
Listen 127.0.0.1
Timeout 60
LogFile "$d/log"
PidFile "$d/pid"
MaxClients 100
ViaProxyName "tinyproxy"
X
exec tinyproxy -d -c $d/conf
