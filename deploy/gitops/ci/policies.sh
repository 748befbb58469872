#!/bin/sh
# What a change of the policies has to pass before it is in force. Run in the top folder of the repository of policies,
# which has policies/ and kustomization.yaml; needs `ca-server` and `git` in the PATH.
#
#   policies.sh check [BASE]   checks and tests the policies, and tells what has changed in meaning since the commit BASE
#   policies.sh publish        puts HEAD onto the branch `checked`, which the cluster follows, with its name in REVISION
set -eu

check() {
  ca-server policy check policies
  ca-server policy test policies
  # a profile that is not in the ConfigMap does not exist for the CA
  if [ -e kustomization.yaml ]; then
    for file in policies/*.yaml; do
      grep -Eq "^ *- +$file *$" kustomization.yaml || {
        echo "kustomization.yaml does not list $file: add it under configMapGenerator.files" >&2
        exit 1
      }
    done
  fi
  # the first commit of all has nothing before it
  if [ -n "${1:-}" ] && git cat-file -e "$1:policies" 2>/dev/null; then
    old=$(mktemp -d)
    trap 'rm -rf "$old"' EXIT
    git archive "$1" policies | tar -x -C "$old"
    ca-server policy diff "$old/policies" policies
  fi
}

# One commit on the branch for each one that was checked: its content, and REVISION.
publish() {
  commit=$(git rev-parse HEAD)
  export GIT_INDEX_FILE
  GIT_INDEX_FILE=$(git rev-parse --git-dir)/index.checked
  git read-tree HEAD
  blob=$(echo "$commit" | git hash-object -w --stdin)
  git update-index --add --cacheinfo "100644,$blob,policies/REVISION"
  tree=$(git write-tree)
  rm -f "$GIT_INDEX_FILE"
  checked=$(git -c user.name=policies.sh -c user.email=policies@localhost \
    commit-tree "$tree" -p HEAD -m "Checked: $commit")
  git push --force origin "$checked:refs/heads/checked"
}

case "${1:-}" in
  check) check "${2:-}" ;;
  publish) publish ;;
  *) echo "usage: policies.sh check [BASE] | publish" >&2; exit 2 ;;
esac
