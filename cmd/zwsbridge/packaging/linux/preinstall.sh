#!/bin/sh
# Runs before the files are unpacked, some of which belong to the user's group.
# deb: "install" or "upgrade"; rpm: 1 or 2.
set -e
if ! getent passwd zwsbridge >/dev/null; then
  useradd --system --user-group --home-dir /var/lib/zwsbridge --no-create-home \
    --shell /usr/sbin/nologin --comment "zwsbridge" zwsbridge
fi
