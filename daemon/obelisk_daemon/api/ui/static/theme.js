// Before anything is drawn, so that nobody who wants it dark is dazzled: a script of the old kind, since modules wait.
{
  const chosen = localStorage.getItem("obelisk-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
}
