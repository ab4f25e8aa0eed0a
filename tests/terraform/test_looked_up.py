"""What moto does not answer is asked for as AWS takes it: the real provider, and a stand-in for two services."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import boto3
import pytest

from local.ports import HOST
from tests.terraform.account import REGION
from tests.terraform.conftest import PROVIDER_FOR_MOTO
from tests.terraform.running import TERRAFORM, Configuration, required

pytestmark = pytest.mark.timeout(300)


def _versions(asked: dict[str, str]) -> str:
    family = asked["DBParameterGroupFamily"]
    return "".join(
        f"<DBEngineVersion><Engine>postgres</Engine><EngineVersion>{family.removeprefix('postgres')}.{minor}"
        f"</EngineVersion><DBParameterGroupFamily>{family}</DBParameterGroupFamily></DBEngineVersion>"
        for minor in (2, 10, 9)
    )


def _classes(asked: dict[str, str]) -> str:
    return "".join(
        f"<OrderableDBInstanceOption><Engine>postgres</Engine><EngineVersion>{asked['EngineVersion']}</EngineVersion>"
        f"<DBInstanceClass>{kind}</DBInstanceClass><StorageType>{storage}</StorageType><Vpc>true</Vpc>"
        f"<AvailabilityZones><AvailabilityZone><Name>{REGION}b</Name></AvailabilityZone></AvailabilityZones>"
        "</OrderableDBInstanceOption>"
        for kind, storage in (
            ("db.m6i.large", "gp3"),
            ("db.t4g.micro", "gp2"),
            ("db.t4g.micro", "gp3"),
            ("db.r6i.large", "gp3"),
            ("db.m7g.large", "gp2"),
        )
    )


def _services(asked: dict[str, str]) -> str:
    name = asked["ServiceName.1"]
    zones = "a" if name.endswith(".batch") else "ab"
    return (
        f"<serviceNameSet><item>{name}</item></serviceNameSet><serviceDetailSet><item><serviceName>{name}</serviceName>"
        f"<serviceId>vpce-svc-1</serviceId><serviceType><item><serviceType>Interface</serviceType></item></serviceType>"
        f"<availabilityZoneSet>{''.join(f'<item>{REGION}{zone}</item>' for zone in zones)}</availabilityZoneSet>"
        "</item></serviceDetailSet>"
    )


def _zones(asked: dict[str, str]) -> str:
    zones = "".join(
        f"<item><zoneName>{REGION}{zone}</zoneName><zoneState>available</zoneState></item>" for zone in "ab"
    )
    return f"<availabilityZoneInfo>{zones}</availabilityZoneInfo>"


ANSWERS = {
    "DescribeAvailabilityZones": ("ec2", None, _zones),
    "DescribeDBEngineVersions": ("rds", "DBEngineVersions", _versions),
    "DescribeOrderableDBInstanceOptions": ("rds", "OrderableDBInstanceOptions", _classes),
    "DescribeVpcEndpointServices": ("ec2", None, _services),
}


class _Aws(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        asked = {name: values[0] for name, values in parse_qs(body).items()}
        action = asked["Action"]
        service, listed, answer = ANSWERS[action]
        model = boto3.client(service, region_name=REGION).meta.service_model.operation_model(action)
        known = {str(member.serialization.get("name", name)) for name, member in model.input_shape.members.items()}
        unknown = {name.partition(".")[0] for name in asked} - known - {"Action", "Version"}
        told = answer(asked)
        if listed:
            told = f"<{action}Result><{listed}>{told}</{listed}></{action}Result>"
        content = f"<{action}Response>{told}</{action}Response>".encode()
        self.send_response(400 if unknown else 200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """pytest's output is no log of a server."""


@pytest.fixture(scope="module")
def aws() -> Iterator[dict[str, str]]:
    """The environment in which terraform asks the stand-in."""
    with ThreadingHTTPServer((HOST, 0), _Aws) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "AWS_ENDPOINT_URL": f"http://{HOST}:{server.server_port}",
            "AWS_ACCESS_KEY_ID": "terraform",
            "AWS_SECRET_ACCESS_KEY": "terraform",
            "AWS_REGION": REGION,
        }
        server.shutdown()


@pytest.fixture
def looking(aws: dict[str, str], tmp_path: Path) -> Any:
    """A module's one file and its variables, as a root module of their own."""
    required("terraform")

    def make(module: str, file: str, more: str = "", **variables: Any) -> Configuration:
        folder = TERRAFORM / "modules" / module
        for name in (file, "variables.tf", "versions.tf"):
            (tmp_path / name).write_text((folder / name).read_text(encoding="utf-8"), encoding="utf-8")
        provider = PROVIDER_FOR_MOTO.replace("{", "{\n  skip_requesting_account_id = true", 1)
        (tmp_path / "more.tf").write_text(provider + more, encoding="utf-8")
        configuration = Configuration(
            folder=tmp_path, environment=aws, variables={"name": "framebatch", **variables}
        )
        configuration.initialise()
        return configuration

    return make


def _sentence(configuration: Configuration, *arguments: str) -> str:
    planned = configuration.run("plan", *arguments)
    return " ".join(planned.stderr.split()) if planned.returncode else ""


def test_class_of_the_database_is_one_that_the_region_has_for_the_newest_minor_version_with_gp3(looking):
    configuration = looking(
        "database",
        "orderable.tf",
        availability_zones=[f"{REGION}a", f"{REGION}b"],
        subnet_ids=[],
        security_group_id="sg-1",
        log_retention_days=14,
    )
    assert _sentence(configuration) == ""
    assert (
        "The region has no db.m7g.large for PostgreSQL 17.10: let instance_class be another, such as db.m6i.large."
        in _sentence(configuration, "-var=instance_class=db.m7g.large")
    )
    said = _sentence(configuration, "-var=multi_az=true")
    assert f"A db.t4g.micro is to be had in the zones {REGION}b, and the availability_zones" in said


def test_zones_are_ones_that_have_every_endpoint(looking):
    services = 'locals {\n  endpoint_services = ["batch", "ecr.api"]\n}\n'
    zones = 'data "aws_availability_zones" "open" {\n  state = "available"\n}\n'
    configuration = looking(
        "network",
        "endpoint_services.tf",
        services + zones,
        availability_zones=[f"{REGION}a", f"{REGION}b"],
        backend_port=1,
    )
    assert f"The availability_zones {REGION}b have no endpoint of batch" in _sentence(configuration)
