# Makes .venv where it is missing, installs the packages listed in file $1 and enters it (to be sourced).
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "$python is $("$python" --version 2>&1), expected Python 3.11 or newer; name another one with PYTHON=..." >&2
  exit 1
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
source .venv/bin/activate
python -m pip install --quiet --disable-pip-version-check -r "$1"
