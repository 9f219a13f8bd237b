#!/bin/sh
# limit: 180
# Between SilkTalk nodes alone: who is at an address, wrong identities, bootstrap peers that come back, no IPv6 in the
# kernel, allow and deny lists, probes of the port.
exec python3 tests/interop/connect_test.py
