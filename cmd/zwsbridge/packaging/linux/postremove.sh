#!/bin/sh
# deb: "remove", "purge", "upgrade" …; rpm: 0, or 1 for an upgrade. The configuration stays until
# a purge, as do keys, users and history. The user stays: files elsewhere may belong to it.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl daemon-reload || true
    fi
    ;;
  purge)
    rm -rf /var/lib/zwsbridge
    ;;
esac
