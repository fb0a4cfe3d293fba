#!/bin/sh
# deb: "remove" or "upgrade"; rpm: 0, or 1 for an upgrade. An upgrade restarts the service
# when the new files are there.
set -e
case "$1" in
  remove | 0)
    if [ -d /run/systemd/system ]; then
      systemctl disable --now zwsbridge.socket zwsbridge-admin.socket zwsbridge.service || true
    fi
    ;;
esac
