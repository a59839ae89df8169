"""The server's judgement behind a real sshd with real users, behind gitolite, and behind https."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services import Sshd, need, programs_for_all, real_sshd
from stage import LAB1, LAB2, Stage, clone_of, export

from citgit.git.objects import GitObjects, init_bare
from citgit.git.program import must, run
from citgit.git.remote import GitRemote
from citgit.interfaces import Answer, Pushed, Update
from citgit.model.record import Advert, Claim, Outcome, Progress, Result
from citgit.programs.cit import main
from citgit.wiring.shipped import SHIPPED, install_hook

pytestmark = pytest.mark.privileged

GIT, USER, OTHER, GROUP = "citgit-hook-git", "citgit-hook-anna", "citgit-hook-ben", "citgit-hook"
URL = Callable[[str], str]


class Host:
    """A bare repository that somebody serves, and a client who reaches it at `url`."""

    def __init__(self, folder: Path, bare: Path, owner: str) -> None:
        self.folder, self.bare, self.owner = folder, bare, owner
        self.stage = Stage()
        self.running = self.stage.refs.build("default", self.stage.request())
        self.claim = self.stage.write(self.running, Claim(attempt=1), LAB1)
        if not (bare / "HEAD").exists():
            init_bare(bare, shared="group")
        must(["config", "citgit.path", str(programs_for_all(folder))], git_dir=bare, doing="set up")
        self.sync()
        init_bare(folder / "client.git")
        self.objects = GitObjects(folder / "client.git")
        for kind, data in self.stage.host.objects.content.values():
            self.objects.write(kind, data)

    def sync(self) -> None:
        """Brings the stage to the repository, whose files stay its owner's."""
        export(self.stage, self.bare)
        _do("chown", "-R", self.owner, "--", str(self.bare))
        _do("chmod", "-R", "g+rwX", "--", str(self.bare))

    def push(self, url: str, ref: str, *datas: bytes) -> Pushed:
        """Those commits; a deletion if there are none."""
        new = None
        for data in datas:
            new = self.objects.write("commit", data)
        remote = GitRemote(self.folder / "client.git", url, timeout=60)
        return remote.push([Update(ref, self.stage.tip(ref), new)])[0]

    def play(self, url: str) -> None:
        """A forged record and an early deletion are refused with their rules; honest records and branches pass."""
        stage, ref = self.stage, self.running
        honest = stage.record(ref, Progress(claim=self.claim, phase="x"), LAB1)
        forged = stage.record(ref, Result(claim=self.claim, outcome=Outcome.PASSED), LAB2)
        denied = self.push(url, ref, forged)
        assert denied.answer is Answer.DENIED, denied.message
        assert "agent:lab2 is not holder of the claim" in denied.message
        early = self.push(url, ref)
        assert (early.answer, "not archived yet" in early.message) == (Answer.DENIED, True), early.message
        done = self.push(url, ref, honest)
        assert done.answer is Answer.DONE, done.message
        stage.place(ref, honest)
        branch = run(["push", url, f"{stage.repo}:refs/heads/main"], git_dir=self.folder / "client.git", network=True)
        assert branch.status == 0, branch.stderr


def _do(*argv: str, **options: object) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options).stdout  # type: ignore[call-overload, no-any-return]


def _user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        _do("useradd", "--create-home", "--shell", "/bin/sh", name)
        _do("usermod", "-p", "*", name)
        return pwd.getpwnam(name)


@contextmanager
def _judges_end(bare: Path) -> Iterator[None]:
    try:
        yield
    finally:
        for path in bare.glob("cit-judge-*"):
            path.unlink(missing_ok=True)


def test_users_of_one_group_behind_sshd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each login judges for itself in the group's repository, and neither is in the other's way."""
    with real_sshd(USER, OTHER) as sshd, sshd.folder() as folder:
        monkeypatch.setenv("GIT_SSH_COMMAND", sshd.command)
        if subprocess.run(["getent", "group", GROUP], capture_output=True, check=False).returncode:
            _do("groupadd", GROUP)
        for user in (USER, OTHER):
            _do("usermod", "-a", "-G", GROUP, user)
        host = Host(folder, folder / "host.git", f"{USER}:{GROUP}")
        for hook in ("update", "pre-receive"):
            install_hook(host.bare, hook)
        with _judges_end(host.bare):
            for user in (USER, OTHER):
                host.sync()
                host.play(_ssh(sshd, user, host.bare))
            owners = {path.owner() for path in host.bare.glob("cit-judge-*")}
            assert owners == {USER, OTHER}


def _ssh(sshd: Sshd, user: str, path: Path | str) -> str:
    return f"ssh://{user}@127.0.0.1:{sshd.port}{path if str(path).startswith('/') else f'/{path}'}"


def test_gitolite(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules made from the policy keep people to their refs; the VREF judges what they write."""
    if not shutil.which("gitolite"):
        need("gitolite3")
    with real_sshd(GIT) as sshd, sshd.folder() as folder:
        home = Path(_user(GIT).pw_dir)
        _forget(home)
        keys, conf = folder / "keydir", folder / "rules"
        stage = Host(folder, folder / "seed.git", "root").stage
        top = clone_of(stage, folder / "seed.git", folder / "clone")
        capsys.readouterr()
        assert main(["policy", "gitolite", "project", "-C", str(top), "--keys", str(keys)]) == 0
        conf.write_text(capsys.readouterr().out + "    RW+C refs/heads/ = anna cara\n")
        assert {path.name for path in keys.rglob("*.pub")} == {
            f"{name}.pub" for name in ("anna", "ben", "cara", "hook", "lab1", "lab2")
        }
        for name in ("anna", "lab1"):  # two people with keys that this test can log in with
            _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
            shutil.copyfile(folder / f"{name}.pub", keys / "0" / f"{name}.pub")
        _gitolite(home, folder, conf, keys)
        (folder / "bin-host").mkdir()
        host = Host(folder / "bin-host", home / "repositories" / "project.git", f"{GIT}:{GIT}")
        _do("install", "-o", GIT, "-m", "600", str(home / ".ssh/authorized_keys"), str(sshd.key.parent / "keys" / GIT))
        _do("chown", GIT, "--", str(sshd.key.parent / "keys" / GIT))

        def login(name: str) -> str:
            monkeypatch.setenv("GIT_SSH_COMMAND", sshd.command.replace(str(sshd.key), str(folder / name)))
            return _ssh(sshd, GIT, "project")

        with _judges_end(host.bare):
            host.play(login("anna"))
            beats = host.stage.refs.agent("lab1", "b1")
            advert = host.stage.record(beats, Advert(boot="b1", version="1"), LAB1)
            refused = host.push(login("anna"), beats, advert)
            assert (refused.answer, "DENIED" in refused.message) == (Answer.DENIED, True), "a rule of gitolite"
            assert host.push(login("lab1"), beats, advert).answer is Answer.DONE
            replay = host.stage.refs.root + f"replay/ben/{host.stage.entropy.build_id()}"
            assert host.push(login("anna"), replay, advert).answer is Answer.DENIED


def _forget(home: Path) -> None:
    for name in (".gitolite", ".gitolite.rc", "repositories", "local", ".ssh", "projects.list"):
        path = home / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def _gitolite(home: Path, folder: Path, conf: Path, keys: Path) -> None:
    """gitolite for the user whose home it is, configured on the server itself."""

    def git_user(script: str) -> None:
        _do("su", GIT, "-s", "/bin/sh", "-c", script, cwd=home)

    for path in (folder, keys, *keys.rglob("*"), conf):
        path.chmod(0o755 if path.is_dir() else 0o644)
    git_user(f"gitolite setup -pk {keys}/0/cara.pub")
    rc = home / ".gitolite.rc"
    rc.write_text(
        rc.read_text().replace('# LOCAL_CODE                =>  "$ENV{HOME}/local"', 'LOCAL_CODE => "$ENV{HOME}/local"')
    )
    assert "\n    LOCAL_CODE" in rc.read_text() or " LOCAL_CODE =>" in rc.read_text()
    git_user("mkdir -p local/VREF && git config --global safe.directory '*'")
    shutil.copyfile(SHIPPED / "hooks/VREF/cit-verify-push", home / "local/VREF/cit-verify-push")
    (home / "local/VREF/cit-verify-push").chmod(0o755)
    main_conf = home / ".gitolite/conf/gitolite.conf"
    main_conf.write_text(main_conf.read_text() + "\n" + conf.read_text())
    shutil.copytree(keys, home / ".gitolite/keydir", dirs_exist_ok=True)
    _do("chown", "-R", f"{GIT}:", "--", str(home))
    git_user("gitolite compile && gitolite setup && gitolite trigger POST_COMPILE")


def test_https_with_client_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    """git-http-backend behind nginx: the certificate's name is the pusher."""
    if not (Path("/usr/sbin/nginx").exists() and Path("/usr/sbin/fcgiwrap").exists() and shutil.which("openssl")):
        need("nginx, fcgiwrap and openssl")
    if os.geteuid() != 0:
        need("root (another user serves)")
    _user(GIT)
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)
    with Sshd(Path("/nonexistent")).folder() as folder:
        host = Host(folder, folder / "git" / "project.git", f"{GIT}:{GIT}")
        install_hook(host.bare, "update")
        must(["config", "http.receivepack", "true"], git_dir=host.bare, doing="set up")
        with _nginx(folder) as port, _judges_end(host.bare):
            for key, value in (("sslCert", "cara.crt"), ("sslKey", "cara.key"), ("sslCAInfo", "ca.crt")):
                must(["config", f"http.{key}", str(folder / value)], git_dir=folder / "client.git", doing="set up")
            url = f"https://127.0.0.1:{port}/git/project.git"
            host.play(url)
            beats = host.stage.refs.agent("lab1", "b1")
            host.stage.write(beats, Advert(boot="b1", version="1"), LAB1)
            host.sync()
            assert host.push(url, beats).answer is Answer.DONE, "cara is an admin, and this host knows that it is her"


@contextmanager
def _nginx(folder: Path) -> Iterator[int]:
    """Serves folder/git over https; the client certificate of `cara` is made here."""
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def openssl(*argv: str) -> None:
        _do("openssl", *argv, cwd=folder)

    openssl("req", "-x509", *ec, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    for name, more in (("srv", ("-addext", "subjectAltName=IP:127.0.0.1")), ("cara", ())):
        openssl("req", *ec, "-subj", f"/CN={name}", *more, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-copy_extensions", "copy", "-out", f"{name}.crt")  # fmt: skip
    port = Sshd(folder).port
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=port))
    (folder / "s").mkdir()
    shutil.chown(folder / "s", GIT)
    su = ["setpriv", f"--reuid={GIT}", f"--regid={GIT}", "--init-groups", "/usr/sbin/fcgiwrap", "-c", "2"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": _user(GIT).pw_dir}
    fcgi = subprocess.Popen([*su, "-s", f"unix:{folder}/s/fcgi"], env=environment)
    web = None
    try:
        _wait(lambda: (folder / "s/fcgi").exists())
        (folder / "s/fcgi").chmod(0o777)
        web = subprocess.Popen(["/usr/sbin/nginx", "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
        _wait(lambda: (folder / "nginx.pid").exists())
        yield port
    finally:
        for process in (web, fcgi):
            if process:
                process.terminate()
                process.wait()


def _wait(ready: Callable[[], bool]) -> None:
    for _ in range(250):
        if ready():
            return
        time.sleep(0.02)
    raise AssertionError("the server did not start")


_NGINX = """\
user www-data; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 128; }}
http {{ access_log off; map $ssl_client_s_dn $cn {{ ~CN=(?<n>[^,]+) $n; }}
 client_max_body_size 0; client_body_temp_path {folder}/tmp;
 server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/srv.crt; ssl_certificate_key {folder}/srv.key;
  ssl_client_certificate {folder}/ca.crt; ssl_verify_client on;
  location ~ ^/git(?<gitpath>/.*) {{
   fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;
   fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;
   fastcgi_param REMOTE_ADDR $remote_addr; fastcgi_param SERVER_PROTOCOL $server_protocol;
   fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend; fastcgi_param PATH_INFO $gitpath;
   fastcgi_param GIT_PROJECT_ROOT {folder}/git; fastcgi_param GIT_HTTP_EXPORT_ALL "";
   fastcgi_param REMOTE_USER $cn; fastcgi_param CIT_PUSHER person:$cn;
   fastcgi_param GIT_PROTOCOL $http_git_protocol; fastcgi_pass unix:{folder}/s/fcgi; }} }} }}
"""
