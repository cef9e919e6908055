"""What public CloudTrail records must become, by their line in the public file; worked out from the records by hand.

Lines count from 1; ``3-5 9`` are four of them. Names are the example names of the public files.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACTORS", "FAILED", "KINDS", "REFUSED", "SESSIONS", "lines"]

#: Unit tests of public detection rules: who acted.
ACTORS: Final = {
    "arn:aws:iam::123456789012:user/john.developer": "29 126",
    "arn:aws:sts::123456789012:assumed-role/tester": "30 33 40-42 74-76 84-87 103-108 127 130-131 196-198",
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_DevAdmin_abc123/bob.ross": "31 128",
    "arn:aws:sts::123456789012:federated-user/federated-user": "32 129",
    "arn:aws:sts::123123123123:assumed-role/DevAdmin/dr.evil": "34-38",
    "arn:aws:sts::111122223333:assumed-role/SampleRole/SampleSession": "39",
    "arn:aws:sts::111122223333:assumed-role/SampleRole/bobson.dugnutt": "47-48 81-83 234-238",
    "arn:aws:sts::111122223333:assumed-role/SampleRole/leroy.jenkins": "49-53",
    "arn:aws:iam::187901811700:user/exposed.user": "54-55",
    "arn:aws:sts::187901811700:assumed-role/AWSReservedSSO_DevAdmin_635426549a280cc6/nicholas.hakmiller": "56-57",
    "arn:aws:sts::123456789012:assumed-role/MyRole/session": "58",
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin/user@example.com": "59",
    "admin": "60",
    "arn:aws:iam::123456789012:user/tester": "61 64-66 68 73 114-117",
    "arn:aws:iam::123456789013:user/tester": "62",
    "arn:aws:iam::123456789012:root": "63 191-192",
    "arn:aws:sts::xxx:assumed-role/AWSReservedSSO_developer_admin_asdf/foo@bar.com": "69",
    "11111": "70",
    "arn:aws:sts::123456789012:assumed-role/SomeRole": "71",
    "arn:aws:iam::123456789012:assumed-role/okta/tester@domain.tld": "72",
    "arn:aws:sts::123456789101:assumed-role/DevAdministrator/test_user": "77 80",
    "arn:aws:sts::123123123123:assumed-role/DevAdministrator/temp_user": "78",
    "arn:aws:sts::123123123123:assumed-role/AWSServiceRoleForAmazonEKSNodegroup/EKS": "79",
    "arn:aws:iam::777788889999:user/Nikki": "88 90",
    "arn:aws:iam::123456789012:user/Mateo": "89",
    "arn:aws:sts::123123123123:assumed-role/MakeStuffPublic": "91-97",
    "arn:aws:sts::111122223333:assumed-role/MakeStuffPublic": "98",
    "arn:aws:sts::123456789012:assumed-role/SomeAWSConfig/ConfigResourceCompositionSession": "99",
    "arn:aws:iam::123456789012:user/example-user": "100-102",
    "arn:aws:iam::123456789:user/user1": "109-110",
    "arn:aws:iam::123456789:user/jackson": "111",
    "arn:aws:iam::123456789:user/jack": "112",
    "arn:aws:iam::123456789012:user/some_iam_user": "113",
    "arn:aws:iam::123456789012:user/compromised_user": "118-119",
    "arn:aws:iam::999999999999:user/myUserName": "120",
    "arn:aws:iam::123456789012:user/myUserName": "121",
    "arn:aws:iam::123456789012:user/DeployRole": "122",
    "arn:aws:sts::123456789012:assumed-role/Admin/Jack": "123-125",
    "arn:aws:sts::123456789012:assumed-role/DBARole/admin": "132 151",
    "arn:aws:iam::123456789012:user/dr-coordinator": "133",
    "arn:aws:iam::123456789012:user/developer": "134 141 143 150 153 157 169 172",
    "arn:aws:sts::123456789012:assumed-role/Admin/user": "135 145 154 158 170-171 173-174",
    "arn:aws:sts::123456789012:assumed-role/PowerUserRole/user": "136",
    "arn:aws:iam::123456789012:user/contractor": "137 144 147 156 167",
    "arn:aws:sts::123456789012:assumed-role/CompromisedRole/attacker": "138",
    "arn:aws:sts::123456789012:assumed-role/AdminRole/admin": "139 148 168",
    "arn:aws:sts::123456789012:assumed-role/DBARole/dba": "140 155",
    "arn:aws:sts::123456789012:assumed-role/DBARole/user": "142 149",
    "arn:aws:sts::123456789012:assumed-role/DeveloperRole/developer": "146",
    "arn:aws:iam::123456789012:user/operator": "152",
    "arn:aws:sts::123456789012:assumed-role/ARole/fake.user": "159-162",
    "arn:aws:iam::123456789012:user/johndoe": "163-165",
    "arn:aws:sts::123456789012:assumed-role/NetworkAdmin/user": "166",
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_DevAdmin_635426549a280cc6/fake.user": "175-176",
    "arn:aws:sts::112233445566:assumed-role/ServiceRole/AWSCloudFormation": "177",
    "arn:aws:sts::123456789012:assumed-role/example-role/example-user": "178-182 239-241",
    "TestRole": "183-188",
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_ExampleRole_xxxxxxxxxxxxxxxx/example.user": "189-190",
    "arn:aws:sts::123456789012:assumed-role/BucketAdministrator/user_name": "193",
    (
        "arn:aws:sts::111111111111:assumed-role/sample-role-dreamy-yonath/"
        "sample-role-brave-yalow-role-intelligent-brahmagupta-role-beautiful-keldysh-role-happy-easley-role-bold-buck"
    ): "199 201 203 205 207 209-211",
    "arn:aws:iam::111111111111:user/testuser": "200 204 208 221",
    "arn:aws:sts::123456789012:assumed-role/AdminRole/user_name": "202 206 212",
    "arn:aws:sts::111111111111:assumed-role/sample-role-dreamy-yonath/user_name": "213-220",
    "arn:aws:sts::111111111111:assumed-role/AdminRole/user_name": "222",
    "arn:aws:sts::0123456789:assumed-role/role/account": "223-224 226",
    "arn:aws:iam::0123456789:user/bob": "225",
    "arn:aws:sts::123412341234:assumed-role/AWSServiceRoleForSSO/AWS-SSO": "227",
    "arn:aws:sts::123123123123:assumed-role/AWSReservedSSO_DevAdmin_635426549a280cc6/evil.genius": "228",
    "arn:aws:sts::123456789012:assumed-role/ExampleRole-us-east-2": "232",
    "dynamodb.amazonaws.com": "233",
    "AROAEXAMPLE:session-name": "242-244 248-250",
    "AIDAEXAMPLE": "245-246",
    "arn:aws:sts::012345678910:assumed-role/DevAdministrator/example_user": "251-252",
    "lambda.amazonaws.com": "253-254",
    "organizations.amazonaws.com": "603",
}

#: ECS's category and type of the same records.
KINDS: Final = {
    "process change": "29-33 120-122 126-131",
    "configuration deletion": "34 37 95 202 206",
    "configuration access": "35 38 41 47-48 75 86 96 99 123 228 232 234-238 240 252",
    "configuration change": "36 39 74 76 81-83 97-98 124-125 177 187 248 251",
    "configuration creation": "40 42 77 80 84-85 87 91-94 184-186 189-190 211 222 239 241 603",
    "file creation": "49-52 178-181 183 188 196-197 201 205 207-209 212-221",
    "file access": "53 198 242-246 249-250",
    "process access": "54",
    "authentication info": "55 58-59",
    "authentication start": "56-57 60-66 68-73 100-102 253-254",
    "host start": "78-79 89",
    "host end": "88 90",
    "iam change": "103-104 106 108 226",
    "iam creation": "105 107 109-113 115-116 118-119 191-192 223 227",
    "iam info": "114 117 225",
    "database change": "132-154 159-176",
    "database access": "155-158 233",
    "file change": "182",
    "file deletion": "193 199-200 203-204 210",
    "iam deletion": "224",
}

#: The same records: those that failed, by error code or by the answer to a sign-in.
FAILED: Final = (
    "39 42 53-54 66 76 79 83 87 90 93 102 113-115 117 134 141 144 150 153 157 169 173 181 197 200 204 208 221 228"
)

#: The same records: those cut down so far that they are no CloudTrail records any more, and why.
REFUSED: Final = {
    "eventTime is missing": "43-46 67 229-231 247",
    "eventSource is missing": "194-195 604",
    "eventTime is no RFC 3339 date and time": "255",
    "the record has the shape of no source known here": "607-608",
}

#: An hour of a real account: events of each actor, sessions of one role together.
SESSIONS: Final = {
    "arn:aws:iam::123837392027:user/bert-jan": 856,
    "arn:aws:iam::123837392027:user/benjamin": 89,
    "arn:aws:sts::123837392027:assumed-role/stratus-red-team-ec2-get-password-data-role": 29,
    "arn:aws:sts::123837392027:assumed-role/stratus-red-team-get-usr-data-role": 15,
    "arn:aws:sts::123837392027:assumed-role/stratus-red-team-ec2-steal-credentials-role": 13,
    "ec2.amazonaws.com": 6,
    "inspector2.amazonaws.com": 4,
    "arn:aws:sts::123837392027:assumed-role/AWSServiceRoleForAmazonInspector2": 2,
    "cloudtrail.amazonaws.com": 2,
    "arn:aws:sts::123837392027:assumed-role/stratus-red-team-leave-org-role": 1,
}


def lines(spans: str) -> set[int]:
    """The numbers that ``spans`` names."""
    found: set[int] = set()
    for span in spans.split():
        first, _, last = span.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
