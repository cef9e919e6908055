"""What public records of clouds and identity providers must become, by their line in the public file.

Each line was judged beside its record and its vendor's documentation. Lines count from 1; ``3-5 9`` are four of them.
Names are the example names of the public files. What a table does not name is empty there; times and actions are
compared with the vendor's own field instead. What was acted on is in ``outside_cloud_objects``.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ACTORS", "KINDS", "OUTCOMES", "REFUSED", "SOURCES", "UNTIMED"]

#: Which source a record is of; those of AKS lie in a record of Azure Monitor.
SOURCES: Final = {
    "auth0": "1-28",
    "kubernetes": (
        "256-264 610-611 613-617 619-622 624-625 627-632 634-639 641-644 646-651 653-659 661-665 667-674 676-680 "
        "682-686 688-691 693-697 699-705 707-714 716-723 725-732 734-747 749-756 758-765"
    ),
    "azure-activity": "265-370",
    "entra-audit": "371-372 378-383",
    "entra-signin": "373-377 384-390",
    "duo": "391-415",
    "gcp-audit": (
        "416-433 435-440 443-490 493-499 612 618 623 626 633 640 645 652 660 666 675 681 687 692 698 706 715 724 733 "
        "748 757 766"
    ),
    "github": "500-519 522 525-526 528-559",
    "google-workspace": "560-602",
    "onelogin": "605-606 810-824",
    "okta": "767-809",
    "slack": "825-863",
}

#: Who acted.
ACTORS: Final = {
    "user:denethor@lotr.com": "1-8 340 371 378-379 382 427 445-446 466 567 569",
    "user:user.name@yourcompany.io": "9-12 16 18-25",
    "user:google-oauth2|105261262156475850461": "13",
    "user:john@justice.org": "14 421",
    "user:homer.simpson@yourcompany.com": "15 26-28",
    "address:1.2.3.4": "17 266-267 271 288 298-299 315 317 319 341 366 802-803",
    "user:kubernetes-admin": "256 619",
    "user:system:serviceaccount:kube-system:coredns": "257-260 658 661",
    "user:eks:addon-manager": "261",
    "user:system:node:ip-192-168-3-178.us-west-2.compute.internal": "262",
    "user:system:node:suspicious-node": "263-264",
    "address:1.1.1.1": (
        "265 270 274 277 280 283 287 290 297 304 308 311 314 318 320 326 333 344 347 350 352 354 358 361 365 368"
    ),
    "user:microsoft.advisor": "268-269",
    "address:2.2.2.2": "272 275 278 281 284 291 305 309 312 316 327 334 348 355 359 369",
    "address:203.0.113.75": "273 289 367",
    "address:5.5.5.5": "276 292 296 303 307 310 313 337 662",
    "address:4.4.4.4": "279 282 328 336 349 364 370",
    "address:3.3.3.3": "285 295 302 306 335 342 356",
    "address:6.6.6.6": "286 338",
    "user:12345678-1234-1234-1234-123456789abc": "293 300",
    "user:87654321-4321-4321-4321-123456789abc": "294 301",
    "user:compromised-admin@company.com": "321",
    "address:198.51.100.50": "322",
    "address:192.0.2.100": "323",
    "address:198.18.0.50": "324",
    "address:203.0.113.10": "325",
    "user:6b6d44f0-b13a-46a0-bfde-161324d4c34d": "329-331",
    "user:attacker@example.com": (
        "332 650 657 664 670 704 711 713 720 728 730-731 738-742 746 749 754-755 758 763-764"
    ),
    "address:8.8.8.8": "339 343 360",
    "address:10.0.0.1": "345",
    "address:9.9.9.9": "346 363",
    "address:203.0.113.50": "351 353",
    "address:7.7.7.7": "357",
    "address:10.158.74.16": "362",
    "user:admin@company.com": "372",
    "user:aragorn@lotr.com": "373 381 570",
    "user:iotdevice@company.com": "374",
    "user:boromir@lotr.com": "375",
    "user:peregrin@lotr.com": "376",
    "user:user1@microsoft.com": "377",
    "user:kratos@onmicrosoft.com": "380 383",
    "user:b1c34143-e405-4058-8e29-84596ad737b8": "384-388",
    "user:sam@lotr.com": "389",
    "user:dyoung@lotr.com": "390",
    "user:homer simpson": "391-392 394 397-405",
    "user:bart simpson": "393",
    "user:john p. admin": "395-396",
    "user:example@example.io": "406-415 571-573 578 580-581",
    "user:user@company.io": "416-417 422 472 481",
    "user:0000000000000@cloudbuild.gserviceaccount.com": "418",
    "user:some.user@company.com": "419-420 432-433 495-497",
    "user:whodoneit@some-project.iam.gserviceaccount.com": "423",
    "user:john.doe@some-project.com": "424",
    "user:deploymentmanager.googleapis.com": "425-426 457-458 488-490",
    "user:user@example.com": "428-430 447 461 463 467 660 681 687 737 774 825-839 843-856 859-863",
    "address:192.168.1.100": "431",
    "user:user@domain.com": "435-437 439-440 443 468-471 474-475",
    "user:staging@pantherstaging.io": "438",
    "user:user@runpanther.io": "444 478",
    "user:frodo@lotr.com": "448",
    "user:homer.simpson@example.com": "449 560-561",
    "user:user.name@runpanther.io": "450 454",
    "user:test@runpanther.com": "451-452",
    "user:service-agent-manager@system.gserviceaccount.com": "453",
    "user:terraform@platform.iam.gserviceaccount.com": "455",
    "user:chris@example.com": "456",
    "user:some-project@company.iam.gserviceaccount.com": "459-460",
    "user:user@@example.com": "462",
    "user:user@runpanther.com": "464-465",
    "user:test@company.io": "473",
    "user:test-no-perms@test-project-123456.iam.gserviceaccount.com": "476",
    "user:iam.googleapis.com": "477",
    "user:test@example.com": "479-480",
    "user:staging@company.io": "482-483",
    "user:admin@example.com": (
        "484-485 610 624-625 631-632 644 647 649 655 674 679-680 685-686 691 697 708-709 712 717-718 721-722 726 729 "
        "735 751 759-760 840-842"
    ),
    "user:user1@company.io": "486-487",
    "user:k8s.io": "493-494 498-499",
    "user:cat": "500-506 509-517 522 525-526 550-554",
    "user:user_name": "507",
    "user:leetboy": "508",
    "user:github": "518",
    "user:secret-scanning[bot]": "519",
    "user:badger": "528",
    "user:example-actor": "529",
    "user:user-name": "530-531",
    "user:org-user": "532",
    "user:malicious-actor": "533",
    "user:suspicious-user": "534",
    "user:automated-bot": "535",
    "user:gem-installer": "536",
    "user:cargo-user": "537",
    "user:developer": "538-545",
    "user:malicious-ci": "546",
    "user:suspicious-transfer": "547",
    "user:malicious-pip": "548",
    "user:case-test-actor": "549",
    "user:dog": "555",
    "user:github-actions[bot]": "556-557",
    "user:homersimpson": "558-559",
    "user:alice@panther.com": "562-564",
    "user:login.googleapis.com": "565",
    "user:access_transparency.googleapis.com": "566",
    "user:bobert@ext.runpanther.io": "568",
    "user:user@example.io": "574-575 579 582",
    "user:admin@example.io": "576-577",
    "user:example@acme.com": "583-584",
    "user:alice@acme.com": "585",
    "user:alice@abc.com": "586",
    "user:bobert@example.com": "587-589 591-592 594-602",
    "user:1234567890123": "590",
    "user:bobert@gmail.com": "593",
    "user:123456": "605-606 810-817 819-821",
    "user:policy-admin@example.com": "611",
    "user:user@company.com": "612 626 633 640 645 652 666 675 690 692 706 715 724 733 748 757",
    "user:system:unknown": "613-615 627-629 634-636 641-642 653-654 663 676 678 682-684 688-689 693-694 702",
    "user:system:anonymous": "616-618 620-623",
    "user:system:serviceaccount:kube-system:cronjob-controller": "630",
    "user:system:serviceaccount:kube-system:daemon-set-controller": "637",
    "user:john.doe@example.com": "638",
    "user:masterclient": "639",
    "user:developer@example.com": "643 646 648 668 671 673 723 725 744-745 750",
    "user:malicious-user@example.com": "651 665 705 714 756",
    "user:system:serviceaccount:kube-system:debug": "656",
    "user:test-user": "659",
    "user:suspicious-user@example.com": "667 707 716",
    "user:system:serviceaccount:kube-system:controller": "669 695 727 736 761",
    "user:eks:node-manager": "672",
    "user:system:serviceaccount:kube-system:daemon": "677",
    "user:john.doe@company.com": "696 698-699 701",
    "user:developer@company.com": "700",
    "user:system:serviceaccount:kube-system:deployment-controller": "703",
    "user:system:serviceaccount:kube-system:operator": "710 719",
    "user:compromised-user@example.com": "732 747",
    "user:system:serviceaccount:default:app-sa": "734",
    "user:system:serviceaccount:kube-system:namespace-controller": "743 752",
    "user:system:serviceaccount:kube-system:kube-state-metrics": "753",
    "user:system:serviceaccount:kube-system:kube-proxy": "762",
    "user:attacker@company.com": "765",
    "user:malicious@example.com": "766",
    "user:homer@springfield.gov": "767-768",
    "user:jack@acme.io": "769-770",
    "user:homer.simpson@duff.com": "771-773 777-789 793-796 801 804-809",
    "user:okta.1234.": "775-776",
    "user:eric.montgomery@email.com": "790-791",
    "user:john.doe@emaildomain.com": "792",
    "user:0ua8aardvarkD697": "797-798",
    "user:system@okta.com": "799",
    "user:marge@springfield.gov": "800",
    "user:654321": "818 822-824",
    "user:slack-enterprise-example@example.io": "857-858",
}

#: ECS's category and type.
KINDS: Final = {
    "configuration change": (
        "1-12 14 16 18-28 267 273-278 282-285 289 294-296 301 303-307 317 320 325 328 333-338 340-341 347-348 350-356 "
        "358-359 367 370-372 378-380 402-405 421-422 429 436 473-474 478 486-487 500-501 503 509 511 525-526 528 "
        "530-533 535 540 543-545 547 549 558-559 571-573 578 580-581 613 625 636 649 787 794 825-826 828-829 836 844 "
        "846 848"
    ),
    "intrusion_detection info": "13 17 802-803 809 854 856",
    "configuration creation": (
        "15 399-400 418-420 423-426 437 457-458 479 488-490 493-499 507-508 510 512 529 534 541 552 555 610-612 "
        "614-615 624 626-628 630-635 637 641 643-648 664-683 685-703 745 782 788 827 831-834 843 850 853"
    ),
    "configuration access": (
        "256-261 293 300 302 308-310 339 357 438 470-471 475 574 576-577 616-623 629 642 658-663 684 730-744 746-754"
    ),
    "authentication info": "262-264 428 459-460 775-778 780 783-786 789 820",
    "configuration deletion": (
        "265-266 270-272 279-281 286-288 290-292 297-299 311-313 318-319 321-324 326-327 342 349 365-366 368-369 "
        "381-383 435 439-440 443 468-469 502 513 537 548 553 837-838 851-852"
    ),
    "configuration info": "268-269 314-316 801 807",
    "iam change": (
        "329-331 396-397 401 444 450-453 455-456 462 466-467 482-485 505-506 514 522 546 554 560-561 712 721 729 767 "
        "769-770 779 799-800 804-806 808 821-824 857-862"
    ),
    "iam admin": "332",
    "file access": "343-344 346 360 363-364 445-447 449 538-539 587",
    "file creation": "345 362 448 591",
    "file deletion": "361",
    "authentication start": (
        "373-377 384-390 394-395 398 406-415 427 565 567-568 606 768 771-773 781 793 795-798 810-816 819"
    ),
    "iam info": "391 790-792 817-818",
    "iam creation": "392-393 454 463-465 476-477 550 605 704-711 713-720 722-728 774",
    "database change": "416-417 472 481",
    "host change": "430",
    "session start": "431",
    "host start": "432-433",
    "iam deletion": "461 504 551",
    "host access": "480",
    "file change": "515-519 536 542 562-564 575 579 582-586 588-590 592-602",
    "process start": "556-557 638-640 650-657 755-766",
    "api access": "566",
    "email info": "569-570",
    "authentication end": "830 835 839 845 847 849 855 863",
    "session end": "840-842",
}

#: How it went; ``unknown`` also where a record does not say.
OUTCOMES: Final = {
    "success": (
        "1 3 5 7 9-12 14-16 18-28 256-259 261-267 270-323 325-336 339-345 347-363 365-374 378-383 389-394 396-407 414 "
        "416-419 421-425 427-432 435-440 443-457 459 461-475 477-489 493-519 522 525-526 528-564 566-602 605-606 "
        "610-614 616-619 621-626 628-633 635-640 643-647 649-656 662 664-669 671 673-677 679-682 685-688 690-693 "
        "695-701 703-710 712-719 721-727 729 735 739-741 743-753 755-762 764-766 769-770 774-776 781-782 790-794 "
        "797-801 803 806-810 812 815 817-819 821-863"
    ),
    "failure": (
        "2 4 6 8 13 17 260 324 337-338 346 364 375-377 384-388 395 408-413 415 420 426 433 458 460 476 490 615 627 "
        "634 648 657-661 663 670 672 678 683 689 694 702 711 720 728 730-734 736-738 742 754 763 771-773 777-780 "
        "795-796 802 804-805 811 813-814 816 820"
    ),
    "unknown": "268-269 565 620 641-642 684 767-768 783-789",
}

#: Records cut down so far that they are none any more, and why.
REFUSED: Final = {
    "receiveTimestamp is no RFC 3339 date and time": "434",
    "the record has the shape of no source known here": "441-442 491-492 527 607-609",
    "created_at is no RFC 3339 date and time": "520-521 523-524",
}

#: Records without a time: rules see them, and no window opens on them.
UNTIMED: Final = (
    "406-415 443 478 493-494 498-499 512-514 522 533-549 552-555 557 560-561 565-568 587-602 605-606 610-615 "
    "617-691 693-697 699-766 797-798 800 810-824 827 829 840-844 846 848 850-854 859-862"
)
