(**
---
title: Worked structures, crashed
category: Learn
categoryindex: 1
index: 10
---
# Worked structures, crashed

Eight structures, each with a twin that has one mistake; [worked structures](../structures.html) says why each drain is there.
These are the crashes that the twins do not survive, as the checker finds them.
*)
(*** hide ***)
#load "../../eng/site/Page.fsx"

Page.structures ()
(*** include-it-raw ***)
