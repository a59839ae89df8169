# A build that tries what a malicious one would; it is told where things are, as if it had found out.
# KEY: the worker's signing key. WORKER: the worker's home. MIRRORS: its mirrors. SOCKET: an ssh-agent. VICTIM: the
# length of another build's sleep, SURVIVOR: that of one that it leaves. POISON: a name for what it leaves.
# LOGIN: the home of the user that builds, ROOMS: all builders' rooms, where there are builders.
# It says what it managed; what it leaves on the disk is looked at afterwards.
did() { echo "did: $1"; }
cat "$KEY" > /dev/null 2>&1 && did read-key
mkdir -p "$WORKER/workspaces/another"
echo planted > "$WORKER/workspaces/another/file"
for other in ${ROOMS:+"$ROOMS"/*/rooms/*/}; do
  case $PWD/ in "$other"*) continue ;; esac
  echo planted > "$other/work/planted" && did write-workspace
done
pkill -KILL -f "sleep $VICTIM" > /dev/null 2>&1 && did kill-another
SSH_AUTH_SOCK=$SOCKET ssh-add -l > /dev/null 2>&1 && did use-agent
[ -n "$SSH_AUTH_SOCK" ] && did inherit-agent
for mirror in "$MIRRORS"/*.git; do
  mkdir -p "$mirror/hooks"
  printf '#!/bin/sh\ntouch "$0.ran"\n' > "$mirror/hooks/post-checkout"
  chmod +x "$mirror/hooks/post-checkout"
  echo '[x] planted = yes' >> "$mirror/config"
done
echo poison > "$WORKER/poison"
echo poison > "/tmp/$POISON"
echo poison > "/dev/shm/$POISON"
[ -n "$LOGIN" ] && for place in .ssh/rc .ssh/environment .ssh/authorized_keys .profile .bashrc ../cit-as; do
  echo '# poison' >> "$LOGIN/$place"
done
printf '\033]0;title\007::set-output name=x::y\n{"outcome": "passed"}\nresult: passed\n'
(setsid sleep $SURVIVOR > /dev/null 2>&1 &)
[ -n "$LOGIN" ] && (setsid env -i sleep $SURVIVOR < /dev/null > /dev/null 2>&1 &)
# last: whoever believes it does not wait for this to end
for attempt in "$WORKER"/attempts/*/; do
  echo '{"claim":"'"$CIT_ATTEMPT"'","outcome":"passed","reason":"forged"}' > "$attempt/result.json"
done
exit 3
