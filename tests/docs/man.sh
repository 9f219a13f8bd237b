#!/bin/sh
# limit: 60
# Manual pages: every page that is referred to exists, and mandoc finds nothing wrong with any.
set -eu
if ! command -v mandoc >/dev/null; then
    echo "mandoc is not installed (contrib/setup installs it)"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/silktalk-man.XXXXXX")
trap 'rm -rf "$work"' EXIT
bad=0
pages="silktalk silktalk.ini silktalk-ops silktalkd $("$SILKTALK" applets | sed 's/^/silktalk-/')"
for page in $pages; do
    "$SILKTALK" man "$page" >"$work/page.mdoc"
    # That a page is not installed here is no fault of the page that refers to it: that is looked at below.
    if mandoc -T lint "$work/page.mdoc" | grep -v 'referenced manual not found' | grep .; then
        echo "FAIL: $page"
        bad=1
    fi
    mandoc -T utf8 "$work/page.mdoc" | grep -q 'NAME\|N.NA.AM.ME.E' || { echo "FAIL: $page is empty"; bad=1; }
    sed -n 's/^\.\(It \)\{0,1\}Xr \([^ ]*\) .*/\2/p' "$work/page.mdoc" | sed 's/\\-/-/g' >>"$work/references"
done
sort -u "$work/references" >"$work/unique"
[ -s "$work/unique" ] || { echo "FAIL: no references"; bad=1; }
while read -r page; do
    "$SILKTALK" man "$page" >/dev/null || { echo "FAIL: no page $page"; bad=1; }
done <"$work/unique"
if "$SILKTALK" man nonsense 2>/dev/null; then echo "FAIL: man nonsense"; bad=1; fi
[ $bad = 0 ] && echo "$(echo "$pages" | wc -w) pages are clean"
exit $bad
