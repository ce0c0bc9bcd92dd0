"""What was built is what runs, and a deployment that cannot say so fails."""

from __future__ import annotations

import base64
import io
import re
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from moto.awslambda.models import LambdaFunction

from infra import package

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rehearsal.aws import LocalAws
    from tests.rehearsal.stack import RunningStack

BOTOCORE_DATA = re.compile(
    r"botocore/data/((dynamodb|ssm)/[0-9-]+/(service-2\.json|endpoint-rule-set-1\.json\.gz)"
    r"|endpoints\.json|partitions\.json|sdk-default-configuration\.json|_retry\.json)"
)
FLAGS = slice(4, 8)  # of a .pyc file, after the magic number (PEP 552)
UNCHECKED_HASH = (1).to_bytes(4, "little")


def provider(name: str) -> dict[str, str]:
    """Settings that switch a provider on, as far as the README's example goes."""
    secret = f"/keyturn/dev/provider/{name.lower()}"
    return {f"KEYTURN_{name}_CLIENT_ID": "id", f"KEYTURN_{name}_CLIENT_SECRET_PARAMETER": secret}


@pytest.fixture(scope="module")
def shipped(dev: RunningStack) -> zipfile.ZipFile:
    """The zip that AWS holds."""
    return zipfile.ZipFile(io.BytesIO(dev.aws.code("keyturn-dev")))


def test_every_function_runs_what_the_tree_builds(aws: LocalAws, dev: RunningStack) -> None:
    """Building the same tree again gives the bytes that every function holds."""
    built = package.build(dev.project)
    for name in ("keyturn-dev", "keyturn-dev-authorize", "keyturn-dev-chronicle", "keyturn-dev-guard"):
        assert built.path.read_bytes() == aws.code(name), name


def test_another_zip_in_aws_fails_the_deployment(dev: RunningStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS holds other code than was built, as after a deployment from elsewhere: exit code 1 and the remedy."""
    update = LambdaFunction.update_function_code

    def altered(self: LambdaFunction, spec: dict[str, Any]) -> Any:
        contents = io.BytesIO()
        with zipfile.ZipFile(contents, "w") as archive:
            archive.writestr("app.py", "app = None")
        return update(self, {**spec, "ZipFile": base64.b64encode(contents.getvalue()).decode()})

    with monkeypatch.context() as patch:
        patch.setattr(LambdaFunction, "update_function_code", altered)
        failed = dev.make("deploy", "STAGE=dev", check=False)
    assert failed.returncode == 2  # which is how make says it
    assert "does not hold the zip that was built" in failed.stderr
    assert "deploy again" in failed.stderr
    dev.deploy()


def test_files_that_appear_while_it_deploys_are_not_shipped(dev: RunningStack, tmp_path: Path) -> None:
    """A module that writes beside itself when it is imported does not change what is shipped."""
    app = dev.project / "app.py"
    original = app.read_text()
    stray = dev.project / "chalicelib/stray.txt"
    app.write_text(original + "\nimport pathlib\nif pathlib.Path('infra').exists():\n")
    with app.open("a") as text:
        text.write("    pathlib.Path('chalicelib/stray.txt').write_text('stray')\n")
    try:
        dev.deploy()
        assert stray.exists()
        assert "chalicelib/stray.txt" not in zipfile.ZipFile(io.BytesIO(dev.aws.code("keyturn-dev"))).namelist()
    finally:
        shutil.move(stray, tmp_path)
        app.write_text(original)
        dev.deploy()


def test_only_what_runs_is_in_the_zip(shipped: zipfile.ZipFile) -> None:
    """The app, what it imports, and package metadata; no tools, tests or infrastructure."""
    tops = {name.split("/")[0] for name in shipped.namelist()}
    packages = {top for top in tops if not top.endswith(".dist-info")}
    assert packages == {
        "__pycache__",
        "_argon2_cffi_bindings",
        "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
        "app.py",
        "argon2",
        "botocore",
        "chalice",
        "chalicelib",
        "cryptography",
        "dateutil",
        "email_validator",
        "idna",
        "jmespath",
        "jwt",
        "six.py",
        "urllib3",
    }
    names = [name for name in shipped.namelist() if name.startswith("botocore/data/")]
    assert [name for name in names if not BOTOCORE_DATA.fullmatch(name)] == []
    metadata = {name.split("/", 1)[1] for name in shipped.namelist() if ".dist-info/" in name}
    assert metadata == {"METADATA"}


def test_every_module_of_ours_is_in_the_zip(dev: RunningStack, shipped: zipfile.ZipFile) -> None:
    """Each room whole: what is missing would show on AWS alone, when it is imported."""
    sources = {path.relative_to(dev.project).as_posix() for path in (dev.project / "chalicelib").rglob("*.py")}
    assert "chalicelib/providers/google.py" in sources
    ours = {name for name in shipped.namelist() if name.startswith("chalicelib/") and name.endswith(".py")}
    assert ours == sources


def test_list_of_common_passwords_is_in_the_zip(dev: RunningStack, shipped: zipfile.ZipFile) -> None:
    """With its notice, byte for byte, in less than 1 MB: without it no new password could be taken."""
    for name in ("common_passwords.bin", "common_passwords.NOTICE"):
        entry = shipped.getinfo(f"chalicelib/crypto/{name}")
        assert shipped.read(entry) == (dev.project / entry.filename).read_bytes()
        assert entry.compress_size < 1_000_000


def test_every_module_is_compiled(shipped: zipfile.ZipFile) -> None:
    """Bytecode for each source, of the kind that Python takes without looking at the source."""
    names = set(shipped.namelist())
    for name in names:
        if name.endswith(".py"):
            directory, _, module = name.rpartition("/")
            compiled = f"{directory}/__pycache__/{module}c".replace(".pyc", ".cpython-311.pyc").lstrip("/")
            assert shipped.read(compiled)[FLAGS] == UNCHECKED_HASH, name


def test_size(shipped: zipfile.ZipFile) -> None:
    """Small enough that its transfer does not show in a cold start."""
    assert sum(entry.compress_size for entry in shipped.infolist()) < 9_000_000
    assert sum(entry.file_size for entry in shipped.infolist()) < 30_000_000


def test_compiled_libraries_load_on_lambda(shipped: zipfile.ZipFile) -> None:
    """Nothing needs a newer glibc than Amazon Linux 2 has: 2.26."""
    for name in shipped.namelist():
        if name.endswith(".so"):
            versions = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", shipped.read(name))}
            assert max(versions) <= 26, name


@pytest.mark.parametrize(
    ("stage", "settings", "complaint"),
    [
        ("nowhere", {}, "There is no stage 'nowhere'"),
        ("dev", {"KEYTURN_AUDIENCE": "", "KEYTURN_ACCESS_TTL": "x"}, "KEYTURN_AUDIENCE is not"),
        ("dev", {"KEYTURN_TABEL": "accounts"}, "KEYTURN_TABEL is no setting, the nearest is KEYTURN_TABLE"),
        ("dev", {"KEYTURN_TABLE": "keyturn-*"}, "KEYTURN_TABLE must be a name such as keyturn-prod: 'keyturn-*'"),
        ("dev", {"KEYTURN_GOOGLE_CLIENT_ID": "id"}, "KEYTURN_GOOGLE_CLIENT_SECRET_PARAMETER is not set"),
        ("dev", provider("GOGGLE"), "KEYTURN_GOGGLE_CLIENT_ID names no provider"),
        ("dev", provider("OIDC"), "KEYTURN_OIDC_ISSUER is not set"),
        (
            "dev",
            provider("GOOGLE"),
            "aws ssm put-parameter --type SecureString --name /keyturn/dev/provider/google --value",
        ),
    ],
)
def test_refused_before_anything_is_made(
    dev: RunningStack, stage: str, settings: dict[str, str], complaint: str
) -> None:
    """A wrong stage or setting, and a secret that is not there, fail in one line, and no step is taken."""
    path = dev.project / ".chalice/config.json"
    original = path.read_text()
    dev.configure(settings)
    try:
        failed = dev.run("infra.deploy", "--stage", stage, check=False)
    finally:
        path.write_text(original)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert complaint in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
