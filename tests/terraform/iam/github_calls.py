"""What AWS asks IAM before it does what GitHub's workflows call, as `iam/calls.py` says it of the product.

`packer` is no Python and is heard on its way to EC2: `of_packer` reads what EC2's query protocol carries.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.terraform.iam.calls import Asked, Params, declarations
from tests.terraform.iam.policies import Call

Tags = Callable[[str], Mapping[str, str]]  # of a resource of EC2, by its id

# packer 1.6, which is at hand, tags images afterwards and groups never. The plugin that bake.yml installs tags
# both as it makes them, with the run's tags, and is what the policy is for: its calls stand in the place of the
# older ones.
_PLUGINS_TAG = "framebatch:content"

_KINDS = {"i": "instance", "ami": "image", "snap": "snapshot", "sg": "security-group"}


def declared(region: str, account: str, tags: Tags) -> dict[tuple[str, str], Asked]:
    """Of tools/release.py and packer.packer_py_wrapper, by (service, operation)."""
    definitions = f"arn:aws:batch:{region}:{account}:job-definition/"

    def register(params: Params) -> list[Call]:
        name, container = params["jobDefinitionName"], params["containerProperties"]
        calls = [Call(action="batch:RegisterJobDefinition", resource=f"{definitions}{name}")]
        if params.get("tags"):
            # AWS's reference names the revision; where there is none yet, it may ask for the definition alone.
            tagged = (f"{definitions}{name}", f"{definitions}{name}:1")
            calls += [Call(action="batch:TagResource", resource=one) for one in tagged]
        passed = [container[one] for one in ("jobRoleArn", "executionRoleArn")]
        context = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        return calls + [Call(action="iam:PassRole", resource=role, context=context) for role in passed]

    def deregister(params: Params) -> list[Call]:
        return [Call(action="batch:DeregisterJobDefinition", resource=params["jobDefinition"])]

    def parameter(action: str, name: str) -> Asked:
        place = f"arn:aws:ssm:{region}:{account}:parameter"
        return lambda params: [Call(action=f"ssm:{action}", resource=f"{place}{params[name]}")]

    def tagged(action: str, name: str) -> Asked:
        return lambda params: [_on(action, params[name], region, account, tags)]

    def anything(action: str) -> Asked:
        return lambda _: [Call(action=action, resource="*")]

    known = declarations(region, account)
    return {
        ("batch", "SubmitJob"): known["batch", "SubmitJob"],
        ("batch", "DescribeJobs"): known["batch", "DescribeJobs"],
        ("batch", "TerminateJob"): known["batch", "TerminateJob"],
        ("batch", "RegisterJobDefinition"): register,
        ("batch", "DeregisterJobDefinition"): deregister,
        ("batch", "DescribeJobDefinitions"): anything("batch:DescribeJobDefinitions"),
        ("ssm", "GetParametersByPath"): parameter("GetParametersByPath", "Path"),
        ("ssm", "PutParameter"): parameter("PutParameter", "Name"),
        ("ec2", "DescribeImages"): anything("ec2:DescribeImages"),
        ("ec2", "DescribeLaunchTemplateVersions"): anything("ec2:DescribeLaunchTemplateVersions"),
        ("ec2", "DescribeSnapshots"): anything("ec2:DescribeSnapshots"),
        ("ec2", "DeregisterImage"): tagged("DeregisterImage", "ImageId"),
        ("ec2", "DeleteSnapshot"): tagged("DeleteSnapshot", "SnapshotId"),
    }


def of_packer(query: Mapping[str, str], region: str, account: str, tags: Tags) -> Sequence[Call]:
    """What one call of EC2 asks for; the resource of an action that knows none is *."""
    action, place = query["Action"], f"arn:aws:ec2:{region}:{account}"
    images = f"arn:aws:ec2:{region}::"
    match action:
        case "CreateKeyPair" | "DeleteKeyPair":
            return [Call(action=f"ec2:{action}", resource=f"{place}:key-pair/{query['KeyName']}")]
        case "CreateSecurityGroup":
            tagged = Call(
                action=f"ec2:{action}", resource=f"{place}:security-group/new", context=_plugins("RequestTag")
            )
            return [tagged, Call(action=f"ec2:{action}", resource=f"{place}:vpc/vpc-1")]
        case "RunInstances":
            given = {f"aws:RequestTag/{name}": value for name, value in _tags(query, "TagSpecification.1.Tag")}
            with_it = ("network-interface/new", "subnet/subnet-1", "volume/new", f"key-pair/{query['KeyName']}")
            group = f"{place}:security-group/{query['SecurityGroupId.1']}"
            asked = [Call(action="ec2:RunInstances", resource=f"{place}:{one}") for one in with_it]
            asked.append(Call(action="ec2:RunInstances", resource=group, context=_plugins("ResourceTag")))
            asked.append(Call(action="ec2:RunInstances", resource=f"{images}image/{query['ImageId']}"))
            asked.append(Call(action="ec2:RunInstances", resource=f"{place}:instance/new", context=given))
            context = given | {"ec2:CreateAction": "RunInstances"}
            return [*asked, Call(action="ec2:CreateTags", resource=f"{place}:instance/new", context=context)]
        case "CreateImage":
            new = [f"{images}{one}/new" for one in ("image", "snapshot")]
            context = _plugins("RequestTag") | {"ec2:CreateAction": "CreateImage"}
            made = [Call(action="ec2:CreateImage", resource=one) for one in new]
            made += [Call(action="ec2:CreateTags", resource=one, context=context) for one in new]
            return [*made, _on("CreateImage", query["InstanceId"], region, account, tags)]
        case "CreateTags":
            given = {f"aws:RequestTag/{name}": value for name, value in _tags(query, "Tag")}
            ids = [value for name, value in query.items() if name.startswith("ResourceId.")]
            given |= _plugins("ResourceTag")
            return [_on(action, one, region, account, tags, given) for one in ids]
        case "StopInstances" | "TerminateInstances":
            return [_on(action, query["InstanceId.1"], region, account, tags)]
        case "AuthorizeSecurityGroupIngress" | "DeleteSecurityGroup":
            return [_on(action, query["GroupId"], region, account, tags, _plugins("ResourceTag"))]
    return [Call(action=f"ec2:{action}", resource="*")]  # and no policy grants there what knows a resource


def _plugins(key: str) -> dict[str, str]:
    return {f"aws:{key}/{_PLUGINS_TAG}": "0123456789abcdef"}


def _on(
    action: str, identifier: str, region: str, account: str, tags: Tags, given: Mapping[str, str] | None = None
) -> Call:
    """With the tags that the resource has when it is called."""
    kind = _KINDS[identifier.partition("-")[0]]
    owner = "" if kind in ("image", "snapshot") else account
    context = {f"aws:ResourceTag/{name}": value for name, value in tags(identifier).items()}
    resource = f"arn:aws:ec2:{region}:{owner}:{kind}/{identifier}"
    return Call(action=f"ec2:{action}", resource=resource, context=context | dict(given or {}))


def _tags(query: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        if number := re.fullmatch(rf"{re.escape(prefix)}\.(\d+)\.Key", name):
            yield value, query[f"{prefix}.{number[1]}.Value"]
