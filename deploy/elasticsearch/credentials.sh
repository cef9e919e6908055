#!/bin/sh
# Gives Kibana, the workers, the worker that keeps events and those who ask about people a user each, as elastic, once
# Elasticsearch answers. Safe to run again: passwords become those of the secrets. Needs curl, and files in SECRETS:
# elastic_password, kibana_password, wardwatch_password, events_password, identity_password.
set -eu
url=${ELASTICSEARCH:-http://elasticsearch:9200}
secrets=${SECRETS:-/run/secrets}

secret() {
  value=$(cat "$secrets/$1")
  case $value in
    '' | *[!A-Za-z0-9._-]*) echo "secret $1 is empty or has other characters than letters, digits, . _ and -" >&2; exit 1 ;;
  esac
  printf '%s' "$value"
}

# METHOD PATH BODY. By curl's standard input, so that no password is in a list of processes.
ask() {
  escaped=$(printf '%s' "$3" | tr '\n' ' ' | sed 's/["\\]/\\&/g')
  curl --config - --silent --show-error --fail --output /dev/null --max-time 30 <<CONFIG
user = "elastic:$elastic"
request = "$1"
url = "$url$2"
header = "content-type: application/json"
data = "$escaped"
CONFIG
}

elastic=$(secret elastic_password)
kibana=$(secret kibana_password)
wardwatch=$(secret wardwatch_password)
events=$(secret events_password)
identity=$(secret identity_password)

ask POST /_security/user/kibana_system/_password "{\"password\": \"$kibana\"}"
# What a worker does: look at the cluster and its templates, and write into its own indices. It deletes nothing.
ask PUT /_security/role/wardwatch_worker '{
  "cluster": ["monitor"],
  "indices": [{
    "names": ["wardwatch-alerts-*", "wardwatch-findings-*"],
    "privileges": ["create_index", "create", "index", "view_index_metadata"]
  }]
}'
ask PUT /_security/user/wardwatch "{\"password\": \"$wardwatch\", \"roles\": [\"wardwatch_worker\"]}"
# What the worker that keeps events does: add to its own indices, and change nothing in them.
ask PUT /_security/role/wardwatch_events '{
  "cluster": ["monitor"],
  "indices": [{"names": ["wardwatch-events-*"], "privileges": ["create_index", "create", "view_index_metadata"]}]
}'
ask PUT /_security/user/wardwatch_events "{\"password\": \"$events\", \"roles\": [\"wardwatch_events\"]}"
# What who and timeline ask: they read, and write nothing.
ask PUT /_security/role/wardwatch_identity '{
  "cluster": [],
  "indices": [{"names": ["wardwatch-events-*", "wardwatch-alerts-*"], "privileges": ["read"]}]
}'
ask PUT /_security/user/wardwatch_identity "{\"password\": \"$identity\", \"roles\": [\"wardwatch_identity\"]}"
echo "users kibana_system, wardwatch, wardwatch_events and wardwatch_identity are ready"
