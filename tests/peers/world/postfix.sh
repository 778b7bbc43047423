d=$(mktemp -d); chmod 755 $d; mkdir -p $d/q $d/data $d/etc; chown postfix $d/data; chmod -R a+rwX "$(dirname "$MAILBOX")"; chown -R nobody "$MAILBOX" 
cat > $d/etc/main.cf <<X
compatibility_level=3.6
queue_directory=$d/q
data_directory=$d/data
command_directory=/usr/sbin
daemon_directory=/usr/lib/postfix/sbin
mail_owner=postfix
setgid_group=postdrop
myhostname=mail.example.com
mydestination=
inet_interfaces=127.0.0.1
inet_protocols=ipv4
smtpd_relay_restrictions=permit_mynetworks,reject_unauth_destination
smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination
mynetworks=127.0.0.0/8
virtual_mailbox_domains=regexp:$d/etc/all
virtual_mailbox_base=/
virtual_mailbox_maps=regexp:$d/etc/boxes
virtual_uid_maps=static:65534
virtual_gid_maps=static:65534
alias_maps=
local_recipient_maps=
maillog_file=$d/log
maillog_file_prefixes=$d
smtpd_error_sleep_time=0
smtpd_client_connection_count_limit=0
X
echo '/.*/ OK' > $d/etc/all; echo "/.*/ ${MAILBOX#/}/" > $d/etc/boxes
cat > $d/etc/master.cf <<X
127.0.0.1:$PORT inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
X
chown -R root $d/q $d/etc; postfix -c $d/etc post-install create-missing >/dev/null 2>&1; postfix -c $d/etc check 
# With -d the master stays in the process group of this shell, and ends with it.
exec /usr/lib/postfix/sbin/master -c $d/etc -d
