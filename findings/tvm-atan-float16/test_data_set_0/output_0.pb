
ByJH: