#!/usr/bin/env python3
"""contrib/examples with the programs that read them: cron, mail (its sendmail is caught), a chat's hook, Prometheus and its
promtool, Nagios, Icinga. On a machine of its own (machine.py), where the node is a service as an operator has it.

Environment: SILKTALK. Exit 0, or 77 where no such machine can be made. Nagios and Icinga are no packages that contrib/setup
wants on the machine of who works on SilkTalk: where they are missing, what they read is read here."""
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.parse

import system
from machine import Machine, Unable

HERE, EXAMPLES = system.HERE, system.EXAMPLES
example, eventually = system.example, system.eventually
LIB = "/usr/local/lib/silktalk"
beyond = []  # programs that are here though contrib/setup does not install them


def install(m):
    system.install(m)
    m.sh(f"install -D -m 0755 -t {LIB} {EXAMPLES}/alert/*", 0)
    m.sh("s=$(command -v s-nail) && ln -s $s /usr/local/bin/mail")
    m.write("/usr/sbin/sendmail", "#!/bin/sh\nexec 9>>/root/mails; flock 9; cat >&9; echo ---- >&9\n", 0o755)
    m.sh("systemctl start silktalk", 0)
    for key in ("cpuWarning", "cpuCritical", "memoryWarning", "memoryCritical"):  # who else works here is no fault of the node
        m.sh(f"silktalk config set health.{key} 100", 0)
    eventually("healthy", lambda: m.sh("silktalk health").code == 0)


def mails(m):
    return [text for text in m.sh("cat /root/mails").out.split("----\n") if text]


def as_cron(m, command):
    """What cron makes of a line: its environment, /bin/sh, no terminal."""
    env = "env -i SHELL=/bin/sh PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LOGNAME=root MAILTO="
    return m.run(["sh", "-c", f'exec {env} /bin/sh -c "$1"', "sh", command])


def cron_lines():
    rows = []
    for line in example("cron/silktalk").splitlines():
        if line.startswith("#") or re.match(r"\w+=", line) or not line:
            continue
        fields = line.split(None, 6)
        for value, least, most in zip(fields, (0, 0, 1, 1, 0), (59, 23, 31, 12, 7)):
            assert re.fullmatch(r"\*(/\d+)?", value) or least <= int(value) <= most, line
        assert fields[5] == "root" and "%" not in fields[6], line
        rows.append((fields[:5], fields[6]))
    return rows


def cron(m):
    """2.1 to 2.3, 3.3: each line of the cron file does its work: silent when all is well, a mail when not."""
    rows = cron_lines()
    assert [r[0] for r in rows] == [["*/5", "*", "*", "*", "*"], ["12", "6", "*", "*", "*"], ["32", "6", "*", "*", "1"], ["52", "6", "1", "*", "*"]]
    for _, command in rows[:3]:
        r = as_cron(m, command)
        assert r.code == 0 and r.out + r.err == "", (command, r)
    assert mails(m) == [], mails(m)
    # nobody has looked at the documents (M4): the monthly report is mailed, as it is kept
    r = as_cron(m, rows[3][1])
    assert r.code == 0 and r.out + r.err == "", r
    (mail,) = mails(m)
    assert re.search(r"^Subject: SilkTalk web-01: monthly check WARNING$", mail, re.M) and re.search(r"^To: ops@example\.com$", mail, re.M), mail
    report = m.sh("cat /var/lib/silktalk-root/check-monthly.md", 0).out
    assert report.startswith("# SilkTalk: monthly check of ") and "M4" in mail, mail
    reports = m.sh("stat -c '%U %a %n' /var/lib/silktalk-root/*.md", 0)
    assert [line.split()[2][-8:] for line in reports.lines] == ["daily.md", "nthly.md", "eekly.md"], reports
    # the node is dead: told once, and once more when it is well again
    m.sh("systemctl stop silktalk && rm /root/mails", 0)
    for _ in range(2):
        assert as_cron(m, rows[0][1]).code == 2
    as_cron(m, rows[1][1])
    got = mails(m)
    assert [re.search(r"^Subject: (.*)$", text, re.M)[1] for text in got][0].startswith("SilkTalk problem: ") and len(got) == 2, got
    assert "node is not running" in got[0] and "daily check CRITICAL" in got[1], got
    m.sh("systemctl start silktalk && rm /root/mails", 0)
    eventually("healthy", lambda: m.sh("silktalk health").code == 0)
    as_cron(m, rows[0][1])
    assert len(mails(m)) == 1 and "Subject: SilkTalk recovery: " in mails(m)[0], mails(m)
    m.sh("rm /root/mails")


CRON = next((p for p in ("cron -f", "crond -n") if shutil.which(p.split()[0])), None)


def real_cron(m):
    """The real cron with the same file, each line every minute: it starts a job only when a minute begins. The node is dead."""
    lines = re.findall(r"^(\S+ \S+ \S+ \S+ \S+) root ", example("cron/silktalk"), re.M)
    m.sh("rm -f /etc/cron.d/* /root/mails && systemctl stop silktalk", 0)
    text = example("cron/silktalk")
    for when in lines:
        text = text.replace(f"\n{when} root ", "\n* * * * * root ")
    m.write("/etc/cron.d/silktalk", text)
    job, said = m.background(CRON)
    try:
        eventually(lambda: f"four mails by cron, in {mails(m)} {said()}", lambda: len(mails(m)) == 4, 90)
    finally:
        job.kill()
        job.wait()
    subjects = sorted(re.search(r"^Subject: (.*)$", mail, re.M)[1] for mail in mails(m))
    assert subjects == ["SilkTalk problem: web-01: SILKTALK CRITICAL - node is not running", "SilkTalk web-01: daily check CRITICAL",
                        "SilkTalk web-01: monthly check WARNING", "SilkTalk web-01: weekly check UNKNOWN"], subjects


def chat(m):
    """3.3: a notice becomes a message of a chat, whatever is in its text."""
    server = ('import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n    def do_POST(self):\n'
              '        body = self.rfile.read(int(self.headers["Content-Length"]))\n        self.send_response(500 if self.path == "/bad" else 200)\n'
              '        self.end_headers()\n        open("/root/posts", "ab").write(self.path.encode() + b" " + body + b"\\0")\n'
              'http.server.HTTPServer(("127.0.0.1", 9999), H).serve_forever()\n')
    m.write("/root/server.py", server)
    hook, _ = m.background(f"{sys.executable} /root/server.py")
    try:
        eventually("the chat's hook", lambda: m.sh("ss -tln | grep -c :9999").code == 0)
        m.sh("systemctl kill -s KILL silktalk; systemctl stop silktalk; rm -f /var/lib/silktalk/health-check.state")
        m.sh("""sed -i 's/^\\[contacts\\]/[contacts]\\noperations = Ann "the" \\\\ operator/' /etc/silktalk/silktalk.ini""", 0)
        r = m.sh(f'silktalk health-check --exec "{LIB}/chat http://127.0.0.1:9999/hook"')
        assert r.code == 2 and r.err == "", r
        path, body = m.sh("tr '\\0' '\\n' </root/posts", 0).lines[0].split(" ", 1)
        said = json.loads(body)["text"]
        assert path == "/hook" and said.startswith("SilkTalk web-01: problem, ") and "node is not running" in said, said
        # a hook that refuses is told, and tried again the next time
        r = m.sh(f'silktalk health-check --repeat 0s --exec "{LIB}/chat http://127.0.0.1:9999/bad"')
        assert r.code == 2 and "failed (exit " in r.err, r
    finally:
        hook.kill()
        hook.wait()
    m.sh("rm -f /var/lib/silktalk/health-check.state; systemctl reset-failed silktalk; systemctl start silktalk", 0)


def prometheus(m):
    """3.1: scraped by the real server with the example's files; each rule is tried by promtool."""
    for words in (["check", "config", EXAMPLES + "/prometheus/prometheus.yml"], ["test", "rules", HERE + "/rules_test.yml"]):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    rules, metrics = example("prometheus/silktalk-rules.yml"), m.sh("curl -s http://127.0.0.1:8080/metrics", 0).out
    for name in set(re.findall(r"\bsilktalk_\w+", rules)):
        assert re.search(rf"^# TYPE {re.sub('_(bucket|count)$', '', name)} ", metrics, re.M), f"no metric {name}"
    if not shutil.which("prometheus"):
        return
    m.sh(f"mkdir /srv/prometheus && cp {EXAMPLES}/prometheus/*.yml /srv/prometheus", 0)
    m.sh("sed -i 's/scrape_interval: 15s/scrape_interval: 1s/; s/^rule_files/global: {evaluation_interval: 1s}\\nrule_files/' /srv/prometheus/prometheus.yml && "
         "sed -i 's/for: 2m/for: 1s/' /srv/prometheus/silktalk-rules.yml", 0)
    server, said = m.background("prometheus --config.file=/srv/prometheus/prometheus.yml --storage.tsdb.path=/srv/prometheus/data "
                                "--web.listen-address=127.0.0.1:9090")

    def ask(query):
        r = m.sh(f"curl -s 'http://127.0.0.1:9090/api/v1/query?query={urllib.parse.quote(query)}'")
        return json.loads(r.out)["data"]["result"] if r.out.startswith("{") else []  # while it starts it says so, in words
    try:
        eventually(said, lambda: [s["value"][1] for s in ask('up{job="silktalk"}')] == ["1"])
        eventually("its own numbers", lambda: [s["value"][1] for s in ask("silktalk_connections_max")] == ["300"])
        assert ask("silktalk_health_status")[0]["value"][1] == "0" and ask("ALERTS") == []
        m.sh("systemctl stop silktalk", 0)
        fired = eventually("an alert", lambda: ask('ALERTS{alertname="SilkTalkDown", alertstate="firing"}'))
        assert fired[0]["metric"]["severity"] == "critical", fired
        m.sh("systemctl start silktalk", 0)
        eventually("its end", lambda: ask('ALERTS{alertname="SilkTalkDown"}') == [])
    finally:
        server.kill()
        server.wait()


NAGIOS = """log_file=/srv/nagios/log
cfg_file=/srv/nagios/objects.cfg
cfg_file=/srv/nagios/silktalk.cfg
status_file=/srv/nagios/status.dat
object_cache_file=/srv/nagios/objects.cache
state_retention_file=/srv/nagios/retention
lock_file=/srv/nagios/lock
temp_file=/srv/nagios/temp
command_file=/srv/nagios/rw
check_result_path=/srv/nagios/results
status_update_interval=1
check_external_commands=0
service_inter_check_delay_method=n
host_inter_check_delay_method=n
illegal_macro_output_chars=`~$&|'"<>
"""
NAGIOS_OBJECTS = """define timeperiod {
    timeperiod_name 24x7
    alias always
    sunday 00:00-24:00
    monday 00:00-24:00
    tuesday 00:00-24:00
    wednesday 00:00-24:00
    thursday 00:00-24:00
    friday 00:00-24:00
    saturday 00:00-24:00
}
define command {
    command_name nothing
    command_line /bin/true
}
define contact {
    contact_name nagiosadmin
    host_notification_period 24x7
    service_notification_period 24x7
    host_notification_options n
    service_notification_options n
    host_notification_commands nothing
    service_notification_commands nothing
}
define host {
    host_name localhost
    address 127.0.0.1
    max_check_attempts 1
    check_command nothing
    check_period 24x7
    contacts nagiosadmin
    notification_period 24x7
}
"""


def nagios(m):
    """3.1: the commands, as Nagios gives them to a shell; and the real one, where it is."""
    text = example("nagios/silktalk.cfg")
    lines = dict(re.findall(r"command_name +(\S+)\n +command_line +(.*)", text))
    r = m.sh(lines["check_silktalk"], 0)
    assert re.match(r"SILKTALK OK - [^|\n]* \| node=\S+ ", r.out) and len(r.lines) == 1, r
    r = m.sh(lines["check_silktalk_item"].replace("$ARG1$", "connections"), 0)
    assert re.search(r"\| connections=0;280;300;0$", r.lines[0]), r
    m.sh("silktalk token create nagios --scope read --json | jq -r .token >/srv/token && chmod 640 /srv/token", 0)
    r = m.sh(lines["check_silktalk_url"].replace("$ARG1$", "http://127.0.0.1:8080").replace("$ARG2$", "/srv/token"), 0)
    assert r.out.startswith("SILKTALK OK - "), r
    program = shutil.which("nagios4") or shutil.which("nagios")
    if program is None:
        return
    beyond.append("nagios")
    m.sh("id nagios || useradd --system nagios; usermod -aG silktalk nagios; install -d -o nagios -g nagios /srv/nagios /srv/nagios/results", 0)
    m.write("/srv/nagios/nagios.cfg", NAGIOS + "nagios_user=nagios\nnagios_group=nagios\n")
    m.write("/srv/nagios/objects.cfg", NAGIOS_OBJECTS)
    m.write("/srv/nagios/silktalk.cfg", text)
    r = m.sh(f"{program} -v /srv/nagios/nagios.cfg")
    assert r.code == 0 and "Total Errors:   0" in r.out and "Total Warnings: 0" in r.out, r
    server, said = m.background(f"{program} /srv/nagios/nagios.cfg")
    try:
        status = r"plugin_output=SILKTALK (\w+) - "
        found = eventually(said, lambda: re.search(status, m.sh("cat /srv/nagios/status.dat").out), 90)
        dat = m.sh("cat /srv/nagios/status.dat").out
        assert found[1] == "OK" and re.search(r"\tperformance_data=node=\S+ cpu=\S+ memory=", dat), dat[-2000:]
    finally:
        server.kill()
        server.wait()


def icinga(m):
    """3.1: read by Icinga 2, where it is; else its parts are looked at."""
    text = example("icinga2/silktalk.conf")
    assert text.count("{") == text.count("}") and 'command = [ "/usr/local/bin/silktalk", "health" ]' in text
    options = m.sh("silktalk help health", 0).out
    for option in re.findall(r'^    "(--?[\w-]+)" = ', text, re.M):
        assert option in options, option
    if not shutil.which("icinga2"):
        return
    beyond.append("icinga2")
    m.write("/srv/icinga.conf", 'include <itl>\ninclude "/srv/silktalk.conf"\nobject Host "web-01" {\n  check_command = "dummy"\n  vars.silktalk = true\n}\n')
    m.write("/srv/silktalk.conf", text)
    r = m.sh("icinga2 daemon --validate --config /srv/icinga.conf")
    assert r.code == 0 and "Instantiated 1 Service" in r.out and "Instantiated" in r.out, r


def main():
    try:
        machine = Machine({"silktalk.service": example("systemd/silktalk.service")})
    except Unable as why:
        print(why)
        return 77
    with machine as m:
        missing = system.missing(m) + [p for p in ("promtool",) if not shutil.which(p)] + ([] if CRON else ["cron"])
        if missing:
            print("not here (contrib/setup installs them):", *missing)
            return 77
        install(m)
        cron(m)
        chat(m)
        prometheus(m)
        nagios(m)
        icinga(m)
        real_cron(m)
    print("the examples do what they say" + ("; tried with " + ", ".join(beyond) if beyond else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
