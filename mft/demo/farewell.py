"""What is said when the story is over and the servers stay: endpoints, logins, and commands to paste."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mft.demo.cast import BOOT, LICENCE
from mft.demo.connection import case_path

if TYPE_CHECKING:
    from mft.demo.cast import Person
    from mft.demo.scene import Scene


def say_farewell(scene: Scene) -> None:
    """Print what a person needs to go on."""
    clients, ground, servers, say = scene.clients, scene.ground, scene.servers, scene.narrator
    say.say()
    say.head("The servers stay open. Ctrl-C ends them. Paste:")
    for person in scene.cast.everybody:
        say.say()
        say.head(f"{person.description}   ({person.login}, password {person.password})")
        if person.is_local:
            _operator(scene, person)
            continue
        say.say(f"  {clients.sftp_command(person, person.region)}")
        if person.customer is not None:
            number = case_path(person).removeprefix("/").split(" ")[0]
            path = f"/cases/{number}/"
            say.say(f"  {clients.curl_command(person, person.region, path, '-T', 'FILE')}")
        else:
            path = f"/files{case_path(person)}/to-support/boot.log"
            say.say(f"  {clients.curl_command(person, person.region, path)}")
    say.say()
    say.head("The case system")
    admin = f"{servers.admin_url}/cases"
    say.say(f"  curl -X PATCH -H 'Content-Type: application/json' -d '{{\"state\":\"open\"}}' {admin}/{LICENCE.number}")
    say.say(f"  curl -X PATCH -H 'Content-Type: application/json' -d '{{\"state\":\"closed\"}}' {admin}/{BOOT.number}")
    say.say()
    say.say(f"All of it, for programs: {ground.shown(ground.connection)}      Log: {ground.shown(ground.log('serve'))}")


def _operator(scene: Scene, person: Person) -> None:
    config = shlex.quote(scene.ground.shown(scene.ground.configuration))
    url = scene.servers.operations_url
    scene.narrator.say(f"  curl {url}/readyz      curl {url}/metrics")
    scene.narrator.say(f"  .venv/bin/mft audit verify --config {config}")
    scene.narrator.say(f"  .venv/bin/mft user show {person.login} --config {config}")
