"""A machine of its own to run the manual's commands on as they are printed: namespaces in which a real systemd is process
1, with a real journal, ports that are free, and folders of the system that are written in memory. Nothing of it reaches
the host; its end is the end of all in it.

    with Machine() as m:
        m.sh("systemctl start silktalk").out

Needs root, systemd, overlay mounts and control groups of version 2; else Unable says what is missing."""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SYSTEMD = next((p for p in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.path.exists(p)), None)
WRITTEN = ("/etc", "/var", "/usr", "/root", "/home", "/opt", "/srv", "/backup")  # overlays in memory
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Only these units exist there: no service of the host starts, and nothing tidies up folders that are not its own.
UNITS = {
    "test.target": "[Unit]\nDescription=up\nRequires=basic.target\nAfter=basic.target\n",
    "basic.target": "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n",
    "sysinit.target": "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\nAfter=systemd-journald.service\n",
    "network-online.target": "[Unit]\nDescription=loopback\n",
    "multi-user.target": "[Unit]\nDescription=all\n",
    "shutdown.target": "[Unit]\nDefaultDependencies=no\n",
    "systemd-journald.socket": "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/systemd/journal/stdout\n"
                               "ListenDatagram=/run/systemd/journal/socket\nSocketMode=0666\nPassCredentials=yes\nReceiveBuffer=8M\n",
    "systemd-journald.service": "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.socket\nAfter=systemd-journald.socket\n"
                                "[Service]\nType=notify\nExecStart={journald}\nSockets=systemd-journald.socket\n"
                                "RuntimeDirectory=systemd/journal\nRuntimeDirectoryPreserve=yes\nStandardOutput=null\nRestart=always\n"
                                "FileDescriptorStoreMax=4224\n",
}


class Unable(Exception):
    """This machine can not make one."""


class Result:
    def __init__(self, command, done):
        self.command, self.code, self.out, self.err = command, done.returncode, done.stdout, done.stderr
        self.lines = self.out.splitlines()

    def __repr__(self):
        return f"`{self.command}`: exit {self.code}\n{self.out[-3000:]}{self.err[-1000:]}"


def own_cgroup():
    """A new control group below ours, which becomes the root of the machine's."""
    with open("/proc/self/mounts", encoding="utf-8") as f:
        mounts = [line.split()[1] for line in f if line.split()[2] == "cgroup2"]
    if not mounts:
        raise Unable("no control groups of version 2")
    with open("/proc/self/cgroup", encoding="utf-8") as f:
        ours = next(line.strip()[3:] for line in f if line.startswith("0::"))
    path = f"{mounts[0]}{ours.rstrip('/')}/silktalk-manual-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as error:
        raise Unable(f"no control group can be made: {error.strerror}") from error
    return path


def remove_cgroup(path):
    until = time.monotonic() + 10
    while os.path.isdir(path) and time.monotonic() < until:
        for folder, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except OSError:
                time.sleep(0.05)


def inside(units, memory):
    """First process of the namespaces: makes the folders, becomes systemd."""

    def mount(*args):
        r = subprocess.run(["mount", *args], capture_output=True, text=True, check=False)
        if r.returncode != 0:
            sys.exit(f"unable: mount {' '.join(args)}: {r.stderr.strip()}")

    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", memory)
    for folder in WRITTEN:
        if not os.path.isdir(folder) or os.path.islink(folder):
            continue
        upper, work = memory + folder, f"{memory}/.work{folder}"
        os.makedirs(upper)
        os.makedirs(work)
        shutil.copystat(folder, upper)
        mount("-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", "overlay", folder)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    os.makedirs(memory + "/dev")
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", memory + "/dev")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        open(f"{memory}/dev/{name}", "wb").close()
        mount("--bind", "/dev/" + name, f"{memory}/dev/{name}")
    for name in ("shm", "pts", "mqueue"):
        os.mkdir(f"{memory}/dev/{name}")
    os.symlink("/proc/self/fd", memory + "/dev/fd")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", memory + "/dev/pts")
    os.symlink("pts/ptmx", memory + "/dev/ptmx")
    mount("--move", memory + "/dev", "/dev")
    subprocess.run(["umount", "-R", "/sys/fs/cgroup"], capture_output=True, check=False)
    mount("-t", "cgroup2", "none", "/sys/fs/cgroup")
    mount("-t", "proc", "proc", "/proc")
    for folder in ("/run/lock", "/run/log/journal", "/run/units"):
        os.makedirs(folder, exist_ok=True)
    for name in os.listdir(units):
        shutil.copy(f"{units}/{name}", "/run/units")
    with open("/etc/machine-id", "w", encoding="utf-8") as f:
        f.write("6d616e75616c6d616e75616c6d616e75\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with open("/etc/hostname", "w", encoding="utf-8") as f:
        f.write("web-01\n")
    env = {"PATH": PATH, "container": "test", "SYSTEMD_UNIT_PATH": "/run/units", "LANG": "C.UTF-8"}
    os.execve(SYSTEMD, [SYSTEMD, "--system", "--unit=test.target", "--log-target=journal", "--show-status=no"], env)


class Background(subprocess.Popen):
    """nsenter, and the command that it started: which would outlive it."""

    def __init__(self, machine, words, out):
        self.machine, self.file = machine, "/run/" + os.path.basename(out.name)
        super().__init__(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=machine.environment())

    def kill(self):
        self.machine.sh(f"kill -9 $(cat {self.file})")
        super().kill()


class Machine:
    def __init__(self, units=None):
        if os.geteuid() != 0:
            raise Unable("needs root")
        if SYSTEMD is None or not shutil.which("journalctl") or not shutil.which("unshare") or not shutil.which("nsenter"):
            raise Unable("no systemd")
        self.folder = tempfile.mkdtemp(prefix="silktalk-machine.", dir=os.environ.get("TMPDIR"))
        self.cgroup, self.process, self.init = None, None, None
        try:
            self.start(units or {})
        except BaseException:
            self.close()
            raise

    def start(self, units):
        os.mkdir(self.folder + "/units")
        os.mkdir(self.folder + "/memory")
        journald = os.path.join(os.path.dirname(SYSTEMD), "systemd-journald")
        for name, text in {**UNITS, **units}.items():
            with open(f"{self.folder}/units/{name}", "w", encoding="utf-8") as f:
                f.write(text.replace("{journald}", journald))
        self.cgroup = own_cgroup()

        def join():
            with open(self.cgroup + "/cgroup.procs", "w", encoding="utf-8") as f:
                f.write("0")

        with open(self.folder + "/log", "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net", "--cgroup", sys.executable,
                 os.path.abspath(__file__), self.folder + "/units", self.folder + "/memory"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=join)
        until = time.monotonic() + 60
        while True:
            if self.process.poll() is not None or time.monotonic() > until:
                with open(self.folder + "/log", encoding="utf-8", errors="replace") as f:
                    raise Unable("systemd does not start here: " + (f.read().strip()[-300:] or "no word of it"))
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as f:
                self.init = f.read().strip() or None
            if self.init and self.run(["systemctl", "is-system-running"]).out.strip() in ("running", "degraded"):
                return
            time.sleep(0.1)

    def command(self, words):
        return ["nsenter", "-t", self.init, "-m", "-p", "-u", "-i", "-n", "-C", "--wd=/root", *words]

    def environment(self):
        return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0",
                "USER": "root", "SYSTEMD_UNIT_PATH": "/run/units"}

    def run(self, words, stdin=None, timeout=120):
        done = subprocess.run(self.command(words), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=timeout, check=False, env=self.environment())
        return Result(" ".join(words), done)

    def sh(self, command, code=None, timeout=120):
        """What the manual prints, given to a shell as it is."""
        r = self.run(["bash", "-c", command], timeout=timeout)
        r.command = command
        if code is not None and r.code != code:
            raise AssertionError(f"exit {r.code}, not {code}: {r!r}")
        return r

    def background(self, command):
        """A command that does not end by itself, such as `journalctl -f`; its output is a file."""
        out = tempfile.NamedTemporaryFile(dir=self.folder, delete=False)
        p = Background(self, self.command(["bash", "-c", f"echo $$ >/run/{os.path.basename(out.name)}; exec {command}"]), out)

        def text():
            with open(out.name, encoding="utf-8", errors="replace") as f:
                return f.read()
        return p, text

    def write(self, path, text, mode=0o644):
        self.run(["bash", "-c", f'mkdir -p "$(dirname "{path}")" && cat >"{path}" && chmod {mode:o} "{path}"'], stdin=text)

    def close(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)  # --kill-child: systemd goes with it, and all in its namespaces
            self.process.wait()
        if self.cgroup is not None:
            remove_cgroup(self.cgroup)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


if __name__ == "__main__":
    inside(*sys.argv[1:])
