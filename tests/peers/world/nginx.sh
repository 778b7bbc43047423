d=$(mktemp -d); mkdir -p $d/logs; chmod 755 $d; chmod -R a+rX "$(dirname "$ROOT")"
cat > $d/nginx.conf <<X
daemon off; pid $d/pid; error_log $d/err; worker_processes 1; user root;
events { worker_connections 256; }
http { access_log off; client_body_temp_path $d/a; proxy_temp_path $d/b; fastcgi_temp_path $d/c; uwsgi_temp_path $d/d; scgi_temp_path $d/e; include /etc/nginx/mime.types; server { listen 127.0.0.1:$PORT; root $ROOT; } }
X
exec nginx -c $d/nginx.conf -p $d
