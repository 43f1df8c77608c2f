#!/bin/sh
# start.sh PORT: nginx with nchan in a throw-away directory, in the foreground.
# start.sh check: exit status 0 if both are there.
set -eu
here=$(dirname "$0")
nginx=$(PATH=$PATH:/usr/sbin command -v nginx) || exit 1
modules=${NGINX_MODULES:-$("$nginx" -V 2>&1 | tr ' ' '\n' | sed -n 's/^--modules-path=//p')}
[ -e "$modules/ngx_nchan_module.so" ] || exit 1
[ "$1" != check ] || exit 0
dir=$WORK/nchan
mkdir -p "$dir"
sed -e "s|@PORT@|$1|" -e "s|@DIR@|$dir|g" -e "s|@MODULES@|$modules|" "$here/nginx.conf.in" >"$dir/nginx.conf"
exec "$nginx" -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
