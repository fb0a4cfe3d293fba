#!/bin/sh
# deb: "configure" and the version that was installed before; rpm: 1, or 2 for an upgrade.
set -e
case "$1" in
  configure) previous=$2 ;;
  1) previous= ;;
  2) previous=yes ;;
  *) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || true
  if [ -n "$previous" ]; then
    systemctl try-restart zwsbridge.service || true
  fi
fi
if [ -z "$previous" ]; then
  echo "zwsbridge: edit /etc/zwsbridge/bridge.toml, then: systemctl enable --now zwsbridge"
fi
