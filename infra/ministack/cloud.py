"""An emulator of this run alone; of MiniStack, the stack that is deployed on it."""

import contextlib
import ctypes
import io
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile

import boto3
from botocore.config import Config

ROOT = pathlib.Path(__file__).resolve().parents[2]
REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION}
STACK = "penstock-check"
# By which whoever invokes a function names it.
ALIAS = "live"
# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


def free_port():
    """A port that the system chooses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(seconds, what, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + seconds
    while True:
        if found := look():
            return found
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def prctl(option, value):
    """prctl(2), of which Python has nothing."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@contextlib.contextmanager
def interruptible():
    """Has SIGHUP, SIGINT and SIGTERM end this process as an exception does; gives a function from which on they are ignored, so that nothing
    keeps what was started from being ended."""
    signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

    def interrupted(number, _):
        raise SystemExit(128 + number)

    def ignored():
        for number in signals:
            signal.signal(number, signal.SIG_IGN)

    for number in signals:
        signal.signal(number, interrupted)
    yield ignored


class Cloud:
    """An emulator's process and clients for it.

    It and the processes that it starts are one session and process group, and end with it.
    """

    # Below which name each deployed API has its own.
    domain = "localhost"

    def command(self):
        """The program, which is installed beside this Python if it has no path, and its arguments."""
        raise NotImplementedError

    def variables(self):
        """What it is told by its environment."""
        return {}

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(exist_ok=True)
        self.log = open(folder / "log", "wb")
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), **CREDENTIALS, **self.variables()}
        program, *arguments = self.command()
        # Processes whose parent has ended become this one's children, so that it can wait for the end of each.
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.process = subprocess.Popen(
            [pathlib.Path(sys.executable).parent / program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # Where this process is killed, nothing here gets to run any more.
            preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL),
        )

    def wait(self):
        """Returns when it answers."""

        def answers():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: see {self.log.name}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True

        until(60, f"an answer at {self.url}", answers)

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
        )

    def stop(self):
        """Ends it and what it has started, and returns when none of them is there any more. There is nothing that they would have to put in
        order first: all they have is in this run's folder."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-self.process.pid, 0)
        self.log.close()


class Ministack(Cloud):
    """A MiniStack process, which runs functions as its children."""

    def command(self):
        return ["ministack"]

    def variables(self):
        return {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "AWS_ENDPOINT_URL": self.url,
            # Listeners beside the one that is asked for.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }


class Gateway(Cloud):
    """API Gateway of LocalStack's core, in front of another cloud's functions and buckets (gateway.py). It starts no other process."""

    domain = "localhost.localstack.cloud"

    def __init__(self, folder, environment, cloud):
        """`environment` is the virtual environment that LocalStack's core is installed in."""
        self.python, self.behind, self.folder = environment / "bin" / "python", cloud, folder
        super().__init__(folder)

    def command(self):
        return [self.python, ROOT / "infra" / "ministack" / "gateway.py", self.behind.url]

    def variables(self):
        return {
            "GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "SERVICES": "apigateway,sts",
            "STRICT_SERVICE_LOADING": "1",
            # In the time that the other cloud takes to make the stack.
            "EAGER_SERVICE_LOADING": "1",
            "FILESYSTEM_ROOT": str(self.folder / "root"),
            # It listens nowhere else, asks no host of its makers, and tells them nothing.
            "DNS_ADDRESS": "0",
            "DISABLE_EVENTS": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
        }


class Resolved:
    """A value of the stack's template, once SAM has transformed it, as CloudFormation gives it to a resource."""

    def __init__(self, cloud, resources):
        self.cloud, self.resources = cloud, resources
        stack = cloud.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        self.pseudo = {
            "AWS::StackId": stack["StackId"],
            "AWS::StackName": STACK,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
        }

    def arn(self, resource):
        """That of a function or a role, the only ones that are asked for."""
        name = self.resources[resource]
        if resource.endswith("Function"):
            return self.cloud.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
        return self.cloud.client("iam").get_role(RoleName=name)["Role"]["Arn"]

    def named(self, name, more):
        """What stands for a name in `Fn::Sub`, or for a reference."""
        if name in more:
            return self.of(more[name])
        if name.endswith(".Arn"):
            return self.arn(name.removesuffix(".Arn"))
        return self.pseudo[name] if name in self.pseudo else self.resources[name]

    def of(self, value):
        match value:
            case {"Ref": name}:
                return self.named(name, {})
            case {"Fn::GetAtt": [resource, "Arn"]}:
                return self.arn(resource)
            case {"Fn::Sub": [text, more]}:
                return re.sub(r"\$\{([\w:.]+)\}", lambda name: self.named(name[1], more), text)
            case {"Fn::Sub": text}:
                return self.of({"Fn::Sub": [text, {}]})
            case {"Fn::Select": [index, values]}:
                return self.of(values)[int(index)]
            case {"Fn::Split": [at, text]}:
                return self.of(text).split(at)
            case dict():
                return {name: self.of(member) for name, member in value.items()}
            case list():
                return [self.of(member) for member in value]
        return value


def package(cloud, template):
    """Puts each function's bootstrap and the template where CloudFormation fetches them, as `sam package` does, and gives the template's URL.

    Of the template the `CodeUri`s are replaced, and alarms by metric math left out, which MiniStack does not know.
    """
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="artifacts")
    binaries = re.findall(r"Binary: (penstock-\w+)\n.*?CodeUri: (\S+)", template, re.S)
    assert len(binaries) == 9, binaries
    for binary, code in binaries:
        key = f"{binary}.zip"
        s3.put_object(Bucket="artifacts", Key=key, Body=bootstrap(ROOT / "target" / "debug" / binary))
        before = template
        template = re.sub(rf"(Binary: {binary}\n.*?CodeUri: ){code}", rf"\1s3://artifacts/{key}", template, count=1, flags=re.S)
        assert template != before, binary
    alarms = re.compile(r"  (\w+):\n    Type: AWS::CloudWatch::Alarm\n(?:(?: {4}.*)?\n)*?      Metrics:\n(?:(?: {4}.*)?\n)*")
    print(f"   left out, since MiniStack knows no metric math: {', '.join(alarms.findall(template))}")
    template = alarms.sub("", template)
    s3.put_object(Bucket="artifacts", Key="template.yaml", Body=template.encode())
    print(f"   packaged {', '.join(binary for binary, _ in binaries)}; CodeUri names their archives")
    return f"{cloud.url}/artifacts/template.yaml"


def bootstrap(binary):
    """An archive with a binary as its `bootstrap`."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        entry = zipfile.ZipInfo("bootstrap", (2026, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        file.writestr(entry, stripped(binary))
    return archive.getvalue()


def stripped(binary):
    """A binary's bytes without symbols and debug information, where there is a tool that takes them out."""
    with tempfile.NamedTemporaryFile() as copy:
        try:
            subprocess.run(["strip", "-o", copy.name, binary], check=True)
        except FileNotFoundError:
            return binary.read_bytes()
        return pathlib.Path(copy.name).read_bytes()


def deploy(cloud, url, **parameters):
    """Creates the stack with these parameters and gives its outputs and the ids of its resources."""
    cloudformation = cloud.client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=url,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )

    def settled():
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        return not stack["StackStatus"].endswith("IN_PROGRESS") and stack

    stack = until(120, "the stack is made", settled)
    if stack["StackStatus"] != "CREATE_COMPLETE":
        for event in cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]:
            if "FAILED" in event["ResourceStatus"]:
                print("  ", event["LogicalResourceId"], event.get("ResourceStatusReason"))
        raise SystemExit(f"the stack is {stack['StackStatus']}")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    resources = [resource for page in pages for resource in page["StackResourceSummaries"]]
    return outputs, {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}


def any_method(cloud, resources):
    """Adds what MiniStack's import of an OpenAPI document leaves out: `x-amazon-apigateway-any-method`, as the template has it."""
    gateway = cloud.client("apigateway")
    rest_api = resources["RestApi"]
    function = resources[f"ApiFunctionAlias{ALIAS}"]
    for resource in gateway.get_resources(restApiId=rest_api, limit=500)["items"]:
        if resource["path"] in ("/", "/{proxy+}"):
            method = {"restApiId": rest_api, "resourceId": resource["id"], "httpMethod": "ANY"}
            gateway.put_method(**method, authorizationType="NONE")
            uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
            gateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    types = [{"op": "add", "path": f"/binaryMediaTypes/{kind}"} for kind in ("multipart~1form-data", "text~1csv", "text~1plain")]
    gateway.update_rest_api(restApiId=rest_api, patchOperations=types)
    gateway.create_deployment(restApiId=rest_api, stageName="live")
    print("   added by hand, since MiniStack's import leaves them out: the method ANY of / and /{proxy+}, binary media types")


def reconfigure(functions, name, variables):
    """Gives a function other variables, as a deployment does: in a new version, to which its alias leads from then on."""
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name=ALIAS, FunctionVersion=version)


def numbers(cloud):
    """Makes a number again of what a parameter says of concurrency: CloudFormation hands parameters on as texts, and MiniStack leaves them so."""
    functions = cloud.client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        most = mapping.get("ScalingConfig", {}).get("MaximumConcurrency")
        if most is not None:
            functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": int(most)})
    print("   made numbers again: MaximumConcurrency of the event source mappings")


def unversioned(cloud, outputs):
    """Takes versions from the uploads bucket: of a version MiniStack gives the whole, whatever range is asked for. Imports are then pinned to
    the ETag."""
    suspended = {"Status": "Suspended"}
    cloud.client("s3").put_bucket_versioning(Bucket=outputs["UploadsBucketName"], VersioningConfiguration=suspended)
    print("   suspended: versions of the uploads bucket, of which MiniStack reads no ranges")
