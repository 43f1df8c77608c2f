#!/bin/sh
# start.sh: nginx with nchan on port PORT, in a throw-away directory, in the
# foreground; over TLS with CERT and KEY, with Redis at REDIS.
# start.sh check: exit status 0 if both are there.
set -eu
here=$(dirname "$0")
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || exit 1
modules=${NGINX_MODULES:-$("$nginx" -V 2>&1 | tr ' ' '\n' | sed -n 's/^--modules-path=//p')}
[ -e "$modules/ngx_nchan_module.so" ] || exit 1
[ "${1-}" != check ] || exit 0
dir=$(mktemp -d "$WORK/nchan-$PORT.XXXXXX")
tls=
[ -z "${CERT-}" ] || tls="ssl http2"
sed -e "s|@PORT@|$PORT|" -e "s|@DIR@|$dir|g" -e "s|@MODULES@|$modules|" -e "s|@TLS@|$tls|" \
	-e "s|@CERT@|${CERT-}|" -e "s|@KEY@|${KEY-}|" -e "s|@REDIS@|${REDIS-}|" "$here/nginx.conf.in" >"$dir/nginx.conf"
[ -n "${CERT-}" ] || sed -i '/ssl_/d' "$dir/nginx.conf"
[ -n "${REDIS-}" ] || sed -i '/redis/d' "$dir/nginx.conf"
exec "$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
