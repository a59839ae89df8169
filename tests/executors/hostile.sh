# A build that tries what a malicious one would; it is told where things are, as if it had found out.
# KEY: the worker's signing key. WORKER: the worker's home. SOCKET: an ssh-agent. It says what it managed.
did() { echo "did: $1"; }
cat "$KEY" > /dev/null 2>&1 && did read-key
for attempt in "$WORKER"/attempts/*/; do
  echo '{"claim":"'"$CIT_ATTEMPT"'","outcome":"passed","reason":"forged"}' > "$attempt/result.json"
done
mkdir -p "$WORKER/workspaces/another"
echo x > "$WORKER/workspaces/another/file"
SSH_AUTH_SOCK=$SOCKET ssh-add -l > /dev/null 2>&1 && did use-agent
[ -n "$SSH_AUTH_SOCK" ] && did inherit-agent
for mirror in "$WORKER"/mirrors/*.git; do
  mkdir -p "$mirror/hooks"
  printf '#!/bin/sh\ntouch "$0.ran"\n' > "$mirror/hooks/post-checkout"
  chmod +x "$mirror/hooks/post-checkout"
  echo '[x] planted = yes' >> "$mirror/config"
done
echo poison > "$WORKER/poison"
printf '\033]0;title\007::set-output name=x::y\n{"outcome": "passed"}\nresult: passed\n'
(setsid sleep 98765 > /dev/null 2>&1 &)
exit 3
