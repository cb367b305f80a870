"""What the account says of a deployment to come, by the AWS credentials and the region of the environment:

    python3 infra/release/account.py STACK [Parameter=value]...

Prints `new` where there is no such stack, else `known`, and the revision of what is deployed to it. A stack whose
creation was rolled back holds nothing; it is removed, since CloudFormation cannot update it. On standard error it says
what the account's Lambda concurrency leaves for the api, and what to set where that is not much.
"""

import hashlib
import json
import pathlib
import re
import sys

TEMPLATE = pathlib.Path(__file__).parents[2] / "template.yaml"

# Requests to the api at once below which others' imports can be felt in it.
LEAST_FOR_THE_API = 20

# What must stay unreserved (AWS Lambda Developer Guide, "Configuring reserved concurrency for a function").
UNRESERVED = 100

# Of these no version of a function knows: whether tables can be deleted, which a first deployment changes on its way;
# how work comes to new versions; and what the archives are for, which they say themselves.
APART = ("Architecture", "DeletionProtection", "GradualRelease")


def defaults():
    """The defaults of the template's parameters."""
    return dict(re.findall(r'^  (\w+):\n    Type: \w+\n    Default: "?(.*?)"?$', TEMPLATE.read_text(), re.M))


def revision(archives, parameters):
    """What stands for everything that makes the functions what they are: the archives, the template, and the values of its
    parameters, those that are named and those that the stack has, over the defaults. Another revision makes another
    version of each function; SAM itself sees no value of a parameter (aws/serverless-application-model#3820).
    """
    values = defaults() | {name: value.strip('"') for name, value in parameters.items()}
    known = {name: value for name, value in values.items() if name not in APART}
    parts = [TEMPLATE.read_bytes(), json.dumps(known, sort_keys=True).encode(), *archives]
    digests = [hashlib.sha256(part).digest() for part in parts]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:12]


def archives():
    """The functions' archives, as infra/release/build has made them."""
    return [archive.read_bytes() for archive in sorted((TEMPLATE.parent / "target/lambda").glob("*/bootstrap.zip"))]


def most(parameters):
    """How many executions the functions behind queues and the schedule take at once, at most."""
    template, by_default = TEMPLATE.read_text(), defaults()
    bounds = re.findall(r"MaximumConcurrency: (?:!Ref (\w+)|(\d+))", template)
    bounded = sum(int(number or parameters.get(name) or by_default[name]) for name, number in bounds)
    return bounded + len(re.findall(r"Type: Schedule$", template, re.M))


def advice(quota, taken, reserved, validators=0):
    """Sentences for who deploys: `quota` executions of the account at once, of which the stack takes `taken` beside
    its api, for which `reserved` are set aside (0: none), and for the validators `validators`."""
    left = quota - taken
    says = [f"Lambda: {quota} executions at once in this account and region, of which imports and events take up to {taken}."]
    if reserved and quota - reserved < UNRESERVED:
        says.append(f"ApiReservedConcurrency={reserved} fails: Lambda keeps {UNRESERVED} of {quota} unreserved. Leave it at 0.")
    if validators and quota - reserved - validators < UNRESERVED:
        says.append(f"ValidatorsReserved=true fails: it sets {validators} aside, and Lambda keeps {UNRESERVED} of {quota} unreserved.")
    if left < LEAST_FOR_THE_API and not reserved:
        says.append(
            f"That leaves {max(left, 0)} for the API while imports run. Ask for a higher quota (Service Quotas, AWS Lambda, "
            "`Concurrent executions`), or deploy with lower values of ValidatorConcurrency and NotifierConcurrency; with a quota of "
            f"more than {UNRESERVED}, ApiReservedConcurrency={LEAST_FOR_THE_API} keeps some for the API."
        )
    return says


def main(stack, *named):
    import boto3  # beside SAM; the functions above need nothing
    import botocore.exceptions

    cloudformation = boto3.client("cloudformation")
    parameters, state = {}, "new"
    try:
        [found] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ValidationError":
            raise
    else:
        if found["StackStatus"] == "ROLLBACK_COMPLETE":
            print(f"{stack}: its creation was rolled back, nothing is in it: it is removed first", file=sys.stderr)
            cloudformation.delete_stack(StackName=stack)
            cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)
        elif found["StackStatus"] != "REVIEW_IN_PROGRESS":
            state = "known"
            parameters = {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])}
    parameters |= dict(parameter.split("=", 1) for parameter in named)
    print(state, revision(archives(), parameters))
    reserved = int(parameters.get("ApiReservedConcurrency", 0))
    validators = 0
    if parameters.get("ValidatorsReserved") == "true":
        validators = int(parameters.get("ValidatorConcurrency") or defaults()["ValidatorConcurrency"])
    try:
        quota = boto3.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    except botocore.exceptions.ClientError as error:
        print(f"Lambda: the account's quota is not known: {error}", file=sys.stderr)
        return
    print(*advice(quota, most(parameters), reserved, validators), sep="\n", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
