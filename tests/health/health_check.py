"""health-check and maintenance: what is told, when, by which way, and what is kept."""
import json
import os
import signal
import time

from common import WORK, Daemon, answer, bad, eventually, good, new_home, run


def script(name, text):
    path = f"{WORK}/{name}"
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def told(name):
    try:
        with open(f"{WORK}/{name}", encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def main():
    os.mkdir(WORK + "/bin")
    script("bin/sendmail", f'[ "$*" = "-t" ] && cat >>"{WORK}/mails"\n')
    program = script("page it", f'printf "%s|%s|%s|" "$1" "$2" "$SILKTALK_EVENT" >>"{WORK}/pages"; cat >>"{WORK}/pages"\n')
    env = os.environ | {"PATH": WORK + "/bin:" + os.environ["PATH"]}
    # thresholds out of reach: the machine of the tests may be busy
    home = new_home("a", health_cpuCritical="100", health_memoryCritical="100")
    link = WORK + "/silktalk-health-check"
    os.symlink(os.path.abspath(os.environ.get("SILKTALK", "build/silktalk")), link)

    def check(*args):
        return run(home, "health-check", "--mail", "ops@example.com", "--exec", f'"{program}" "two words" $HOME', *args, env=env)

    good(home, "config", "set", "contacts.operations", "Ann, +49 30 1234")
    d = Daemon(home)
    daemons = [d]
    try:
        eventually("well", lambda: bad(home) == {})
        r = check()
        assert r.returncode == 0 and r.stdout.startswith("SILKTALK OK - ") and told("mails") == "", (r, told("mails"))
        d.end(signal.SIGKILL)
        r = check()
        assert r.returncode == 2 and "node is not running" in r.stdout, r
        mail, page = told("mails"), told("pages")
        assert mail.startswith("To: ops@example.com\nSubject: SilkTalk problem: ") and "\n\nSILKTALK CRITICAL - node is not running\n" in mail, mail
        assert "-> silktalk start" in mail and "operations: Ann, +49 30 1234\n" in mail, mail
        assert page.startswith("two words|$HOME|problem|{"), page  # no shell has seen it
        notice = json.loads(page.split("|", 3)[3])
        assert notice["schema"] == "silktalk.alert/1" and notice["event"] == "problem" and notice["health"]["checks"], notice
        check()
        assert told("mails") == mail, "told twice"
        time.sleep(0.1)
        check("--repeat", "0s")
        assert told("mails").count("\nSubject: SilkTalk repeat: ") == 1
        os.rename(home + "/identity.key", home + "/aside")  # another finding: a change
        check()
        assert told("mails").count("Subject: SilkTalk problem: ") == 2 and "identity.key is missing" in told("mails")
        os.rename(home + "/aside", home + "/identity.key")
        d = Daemon(home)
        daemons.append(d)
        eventually("well", lambda: bad(home) == {})
        check()
        assert told("mails").count("Subject: SilkTalk recovery: ") == 1, told("mails")
        check()
        assert told("mails").count("Subject: ") == 4, told("mails")
        state = json.loads(told("a/health-check.state"))
        assert state["findings"] == "" and os.stat(home + "/health-check.state").st_mode & 0o777 == 0o600, state

        good(home, "maintenance", "on", "--for", "1h", "--notify", "back soon")
        assert "maintenance until" in good(home, "status") and answer(home, "maintenance", "status")["maintenance"]["text"] == "back soon"
        assert "maintenance; " in run(home, "health").stdout
        check()
        d.end(signal.SIGKILL)  # what maintenance may bring with it
        check()
        assert told("mails").count("Subject: ") == 4, "told in maintenance"
        d = Daemon(home)
        daemons.append(d)
        assert answer(home, "maintenance", "status")["maintenance"] is not None, "it outlasts a restart"
        good(home, "maintenance", "off")
        eventually("well", lambda: bad(home) == {})
        check()
        assert told("mails").count("Subject: ") == 4
        d.end()
        r = run(home, "health-check", "--exec", "false", env=env)  # nobody was reached: again with the next run
        assert r.returncode == 2 and "--exec: false failed (exit 1)" in r.stderr, r
        check()
        assert told("mails").count("Subject: ") == 5
        os.unlink(home + "/health-check.state")
        with open(home + "/health-check.state", "w", encoding="utf-8") as f:
            f.write("{ no state")
        check()
        assert told("mails").count("Subject: ") == 6, "a bad state file is none"
        r = run(home, "health-check", env=env)
        assert r.returncode == 2 and "Nobody is told" in r.stderr, r
        good(home, "config", "set", "alerts.mailTo", "root@example.com")
        good(home, "config", "set", "alerts.repeat", "1m")
        os.unlink(home + "/health-check.state")
        run(home, "health-check", env=env)
        assert "To: root@example.com" in told("mails")
        assert run(home, "health-check", "--nothing").returncode == 3
        r = run(home, "selftest", "--bench")
        assert r.returncode == 0 and "FAILED" not in r.stdout and "SHA-256" in r.stdout, r
        assert all(i["ok"] for i in answer(home, "selftest")["items"])
        d = Daemon(home)
        daemons.append(d)
        r = run(home, "netcheck")
        assert r.returncode == 0 and "listener      ok        1 of 1 addresses answer" in r.stdout, r
        good(home, "config", "set", "health.probeHosts", "127.0.0.1:1")
        r = run(home, "netcheck")
        assert r.returncode == 1 and "127.0.0.1:1: does not answer" in r.stdout, r
    finally:
        for d in daemons:
            d.end()


main()
