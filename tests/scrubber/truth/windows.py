"""A Windows machine as support collects it: event exports, system information, registry, IIS and directory logs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.scrubber.truth import values
from tests.scrubber.truth.mark import mark

if TYPE_CHECKING:
    from tests.scrubber.truth.teller import Teller


def machine(t: Teller, top: str) -> None:
    """Tell one machine."""
    w = t.world
    host = w.hosts[5]
    nt_domain = mark("host", w.netbios)
    page = t.tree.page
    events = []
    for number in range(50):
        who = t.person()
        events.append(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing' "
            f"Guid='{{{t.uuid()}}}'/><EventID>{t.one(['4624', '4625', '4672', '4768', '4776'])}</EventID><TimeCreated SystemTime='{t.iso()}'/>"
            f"<EventRecordID>{88000 + number}</EventRecordID><Correlation ActivityID='{{{t.uuid()}}}'/><Channel>Security</Channel>"
            f"<Computer>{t.fqdn(host)}</Computer><Security/></System><EventData><Data Name='SubjectUserSid'>{t.keep('S-1-5-18', 'well-known sid')}</Data>"
            f"<Data Name='TargetUserSid'>{mark('sid', who.sid)}</Data><Data Name='TargetUserName'>{t.user(who)}</Data>"
            f"<Data Name='TargetDomainName'>{nt_domain}</Data><Data Name='LogonType'>3</Data><Data Name='LogonGuid'>{{{t.uuid()}}}</Data>"
            f"<Data Name='WorkstationName'>{t.short()}</Data><Data Name='IpAddress'>{t.ip()}</Data><Data Name='IpPort'>{t.pid()}</Data></EventData></Event>"
        )
    page(
        f"{top}/Security.xml",
        "<?xml version='1.0' encoding='utf-8'?>\n<Events>\n" + "\n".join(events) + "\n</Events>\n",
        "evtx xml",
        parse=ET.fromstring,
    )
    page(
        f"{top}/ipconfig.txt",
        "\r\n"
        "Windows IP Configuration\r\n"
        "\r\n"
        f"   Host Name . . . . . . . . . . . . : {t.short(host)}\r\n"
        f"   Primary Dns Suffix  . . . . . . . : {t.domain()}\r\n"
        "   Node Type . . . . . . . . . . . . : Hybrid\r\n"
        "\r\n"
        "Ethernet adapter Ethernet0:\r\n"
        "\r\n"
        "   Description . . . . . . . . . . . : vmxnet3 Ethernet Adapter\r\n"
        f"   Physical Address. . . . . . . . . : {mark('mac', host.mac.replace(':', '-').upper())}\r\n"
        "   DHCP Enabled. . . . . . . . . . . : No\r\n"
        f"   Link-local IPv6 Address . . . . . : {mark('ipv6', 'fe80::' + ':'.join(values.hexes(t.rng, 4) for _ in range(4)))}%14(Preferred)\r\n"
        f"   IPv4 Address. . . . . . . . . . . : {t.ip(host)}(Preferred)\r\n"
        f"   Subnet Mask . . . . . . . . . . . : {t.keep('255.255.254.0', 'netmask')}\r\n"
        f"   Default Gateway . . . . . . . . . : {mark('ipv4', w.gateway)}\r\n"
        f"   DNS Servers . . . . . . . . . . . : {t.ip(w.hosts[4])}\r\n"
        f"                                       {t.ip(w.hosts[6])}\r\n"
        "   NetBIOS over Tcpip. . . . . . . . : Enabled\r\n",
        "ipconfig",
    )
    page(
        f"{top}/systeminfo.txt",
        "\r\n"
        f"Host Name:                 {t.short(host)}\r\n"
        "OS Name:                   Microsoft Windows Server 2022 Standard\r\n"
        f"OS Version:                {t.keep('10.0.20348 N/A Build 20348', 'version')}\r\n"
        f"Registered Owner:          {t.name()}\r\n"
        f"Product ID:                {t.keep('00454-10000-00001-AA' + t.rng.choice('0123456789') + '73', 'product id')}\r\n"
        "System Boot Time:          11/2/2026, 3:12:44 AM\r\n"
        f"Domain:                    {t.domain()}\r\n"
        f"Logon Server:              \\\\{t.short(w.hosts[4])}\r\n"
        f"Hotfix(s):                 [01]: {t.keep('KB5031364', 'hotfix')}\r\n"
        "Network Card(s):           1 NIC(s) Installed.\r\n"
        f"                                 [01]: {t.ip(host)}\r\n"
        f"                                 [02]: {mark('ipv6', host.ipv6)}\r\n",
        "systeminfo",
    )
    registry = (
        "Windows Registry Editor Version 5.00\r\n"
        "\r\n"
        "[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters]\r\n"
        f'"Hostname"="{t.short(host)}"\r\n'
        f'"Domain"="{t.domain()}"\r\n'
        f'"NV Domain"="{t.domain()}"\r\n'
        f'"NameServer"="{t.ip(w.hosts[4])},{t.ip(w.hosts[6])}"\r\n'
        "\r\n"
        "[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon]\r\n"
        f'"DefaultUserName"="{t.user()}"\r\n"DefaultPassword"="{t.pw()}"\r\n"AutoAdminLogon"="1"\r\n\r\n'
        f"[HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList\\{mark('sid', w.people[0].sid)}]\r\n"
        f'"ProfileImagePath"="C:\\\\Users\\\\{t.user(w.people[0])}"\r\n"Guid"="{{{t.uuid()}}}"\r\n\r\n'
        "[HKEY_CURRENT_USER\\Software\\ORL\\WinVNC3]\r\n"
        f'"Password"={mark("password", "hex:" + ",".join(values.hexes(t.rng, 2) for _ in range(8)))}\r\n'
        '"PollUnderCursor"=dword:00000001\r\n'
    )
    page(f"{top}/export.reg", registry, "registry", encoding="utf-16")
    iis = [
        "#Software: Microsoft Internet Information Services 10.0",
        "#Version: 1.0",
        "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Cookie) sc-status time-taken",
    ]
    for _ in range(60):
        now = t.tick()
        iis.append(
            f"{now:%Y-%m-%d %H:%M:%S} {t.ip(host)} GET /app/orders.aspx id={t.pid()}&access_token={mark('token', values.like(t.rng, '[A-Za-z0-9]{40}'), 'query')} 443 "
            f"{w.netbios}\\{t.user()} {t.ip()} Mozilla/5.0+(Windows+NT+10.0)+Chrome/{t.keep('120.0.6099.109', 'version')} ASP.NET_SessionId={mark('cookie', values.like(t.rng, '[a-z0-9]{24}'))} 200 {t.rng.randint(1, 900)}"
        )
    page(f"{top}/u_ex261103.log", "\r\n".join(iis) + "\r\n", "iis")
    page(
        f"{top}/web.config",
        '<?xml version="1.0" encoding="utf-8"?>\n<configuration>\n  <connectionStrings>\n'
        f'    <add name="Main" connectionString="Data Source={t.fqdn(w.hosts[1])};Initial Catalog=Orders;User ID=app;Password={t.pw()};MultipleActiveResultSets=True" providerName="System.Data.SqlClient" />\n'
        f'    <add name="Ora" connectionString="User Id=scott;Password={t.pw()};Data Source={t.fqdn(w.hosts[2])}:1521/ORCL" />\n'
        '  </connectionStrings>\n'
        '  <appSettings>\n'
        f'    <add key="SmtpPassword" value="{t.pw()}" />\n'
        f'    <add key="StorageKey" value="{mark("token", values.b64(t.rng, 64), "StorageKey value=")}" />\n'
        f'    <add key="PasswordMinLength" value="{t.keep("12", "setting")}" />\n'
        f'    <add key="webpages:Version" value="{t.keep("3.0.0.0", "version")}" />\n'
        '  </appSettings>\n'
        '  <system.web>\n'
        f'    <machineKey validationKey="{mark("token", values.hexes(t.rng, 128).upper(), "machineKey")}" decryptionKey="{mark("token", values.hexes(t.rng, 64).upper(), "machineKey")}" validation="SHA1" decryption="AES" />\n'
        f'    <assembly name="System.Web.Mvc, Version={t.keep("5.2.7.0", "version")}, Culture=neutral, PublicKeyToken={t.keep("31bf3856ad364e35", "PublicKeyToken")}" />\n'
        f'    <identity impersonate="true" userName="{w.netbios}\\{t.user()}" password="{t.pw()}" />\n'
        '  </system.web>\n'
        '</configuration>\n',
        "web.config", parse=ET.fromstring,
    )  # fmt: skip
    page(
        f"{top}/unattend.xml",
        '<?xml version="1.0"?>\n'
        '<unattend xmlns="urn:schemas-microsoft-com:unattend"><settings pass="oobeSystem"><component name="Microsoft-Windows-Shell-Setup">'
        f"<UserAccounts><AdministratorPassword><Value>{t.pw()}</Value><PlainText>true</PlainText></AdministratorPassword></UserAccounts>"
        f"<AutoLogon><Password><Value>{t.pw()}</Value></Password><Username>Administrator</Username></AutoLogon><ComputerName>{t.short()}</ComputerName>"
        "</component></settings></unattend>\n",
        "unattend", parse=ET.fromstring,
    )  # fmt: skip
    page(
        f"{top}/deploy.ps1",
        f'$pw = ConvertTo-SecureString "{t.pw()}" -AsPlainText -Force\n'
        f'$cred = New-Object System.Management.Automation.PSCredential("{w.netbios}\\{t.user()}", $pw)\n'
        "Connect-MsolService -Credential $cred\n"
        f"$env:API_KEY = '{mark('token', values.like(t.rng, '[A-Za-z0-9]{32}'), 'powershell')}'\n"
        f'Get-Content "C:\\Users\\{t.user()}\\Desktop\\list.txt"\n'
        f"{t.keep('$Password = Read-Host -AsSecureString', 'code')}\n"
        f"Invoke-WebRequest -Uri https://{t.fqdn()}/x -Headers @{{ 'X-Api-Key' = '{mark('token', values.like(t.rng, '[a-f0-9]{40}'), 'X-Api-Key')}' }}\n",
        "powershell",
    )
    page(
        f"{top}/whoami_all.txt",
        "USER INFORMATION\r\n"
        "----------------\r\n"
        "\r\n"
        "User Name              SID\r\n"
        "====================== ==============================================\r\n"
        f"{w.netbios.lower()}\\{t.user(w.people[1])}  {mark('sid', w.people[1].sid)}\r\n"
        "\r\n"
        "GROUP INFORMATION\r\n"
        f"BUILTIN\\Administrators  Alias  {t.keep('S-1-5-32-544', 'well-known sid')}\r\n"
        f"NT AUTHORITY\\SYSTEM  {t.keep('S-1-5-18', 'well-known sid')}\r\n",
        "whoami",
    )
    dump = "".join(
        f"{t.user(p)}:{1100 + n}:{mark('hash', values.hexes(t.rng, 32))}:{mark('hash', values.hexes(t.rng, 32))}:::\n"
        for n, p in enumerate(w.people[:6])
    )
    page(f"{top}/ntds.pwdump", dump, "pwdump")
    base = ",".join(f"DC={part}" for part in w.internal.split("."))
    ldif = "".join(
        f"dn: CN={t.name(p)},OU=Staff,{mark('host', base)}\n"
        "objectClass: user\n"
        f"sn: {mark('name', p.last)}\n"
        f"givenName: {mark('name', p.first)}\n"
        f"sAMAccountName: {t.user(p)}\n"
        f"mail: {t.email(p)}\n"
        f"telephoneNumber: {mark('phone', p.phone)}\n"
        f"streetAddress: {mark('address', p.street)}\n"
        f"objectSid: {mark('sid', p.sid)}\n"
        f"userPassword: {mark('hash', '{SSHA}' + values.b64(t.rng, 28))}\n"
        f"objectGUID: {t.uuid()}\n"
        f"pwdLastSet: {t.keep('133' + values.like(t.rng, '[0-9]{15}'), 'filetime')}\n\n"
        for p in w.people
    )
    page(f"{top}/staff.ldif", ldif, "ldif")
