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
  # A service that runs hands over to the new version without an interruption. systemd before 252 knows
  # --kill-whom as --kill-who.
  if [ -n "$previous" ] && systemctl is-active --quiet zwsbridge.service; then
    systemctl kill --signal=USR2 --kill-whom=main zwsbridge.service ||
      systemctl kill --signal=USR2 --kill-who=main zwsbridge.service || true
  fi
fi
if [ -z "$previous" ]; then
  echo "zwsbridge: edit /etc/zwsbridge/bridge.toml, then: systemctl enable --now zwsbridge"
fi
